package disklog

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/parleyhq/parley"
)

// CheckSnapshot reads a snapshot to its end and holds it to its digest: that it
// is whole and as it was written. Restore also checks every CRC within. Errors:
// Damaged, those of r.
func CheckSnapshot(r io.Reader) error {
	from := &source{r: r}
	if err := checkEntries(tar.NewReader(from)); err != nil {
		return from.instead(err)
	}
	// What follows is padding: it is read so that a copy that is made meanwhile has
	// it, and a connection that breaks there is noticed.
	_, err := io.Copy(io.Discard, from)
	return err
}

func checkEntries(in *tar.Reader) error {
	damaged := func(err error) error {
		return &parley.Error{Code: parley.Damaged, Detail: "the snapshot is cut short or changed", Fix: "use another one", Err: err}
	}
	sum := sha256.New()
	var names []byte // of what must be among the entries
	for {
		h, err := in.Next()
		if err != nil {
			return damaged(err)
		}
		switch {
		case h.Name == digestName:
			b, err := io.ReadAll(io.LimitReader(in, 128))
			if err != nil || string(b) != hex.EncodeToString(sum.Sum(nil)) || string(names) != formatName+metaNames[0] {
				return damaged(err)
			}
			return nil
		case h.Name == metaNames[0], h.Name == formatName:
			names = append(names, h.Name...)
		case !isRestored(h.Name):
			return damaged(parley.Errorf(parley.Damaged, "an entry called %.40q", h.Name))
		}
		sumHead(sum, h.Name, h.Size)
		if _, err := io.Copy(sum, in); err != nil {
			return damaged(err)
		}
	}
}

// source remembers how reading failed: a snapshot that could not be fetched is
// not a damaged one.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) instead(err error) error {
	if s.err != nil {
		return s.err
	}
	return err
}
