package disklog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// frame of a dump: what a batch is and where it lies, before its records.
type dumpedBatch struct {
	Base   parley.Position `json:"base"`
	Next   parley.Position `json:"next"`
	Epoch  uint32          `json:"epoch"`
	Events int             `json:"events"`
	Bytes  int             `json:"bytes"`
	Codec  string          `json:"codec"`
	File   string          `json:"file"`
	Offset *int64          `json:"offset,omitempty"` // in a segment
}

// dumped is one record as a line of JSON. Key, value and headers that are not
// UTF-8 come in base64, in the fields named so.
type dumped struct {
	Position parley.Position   `json:"position"`
	Time     time.Time         `json:"time"`
	Key      *string           `json:"key,omitempty"`
	Key64    []byte            `json:"key_base64,omitempty"`
	Value    *string           `json:"value,omitempty"`
	Value64  []byte            `json:"value_base64,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Header64 map[string][]byte `json:"headers_base64,omitempty"`
}

// Dump writes what can be read of a stream of a closed log to w as lines of JSON,
// also of a quarantined one: {"batch": …} for each batch, with its positions and
// where it lies, and then a line for each of its records. It changes nothing.
// Errors: NotFound, Damaged at the end if something could not be read, those of w.
func Dump(fsys vfs.FS, s parley.Stream, w io.Writer) error {
	unlock, err := lockForReading(fsys)
	if err != nil {
		return err
	}
	defer unlock()
	im, err := readImage(fsys)
	if err != nil {
		return err
	}
	st := im.fold.byName[s]
	if st == nil {
		return &parley.Error{Code: parley.NotFound, Field: "stream", Detail: "no stream " + s.Name, Fix: "use a name as it is listed"}
	}
	enc := json.NewEncoder(w)
	v := st.view.Load()
	var damage error
	for _, seg := range v.segs {
		if err := dumpSegment(fsys, seg, v.low, enc); isOurs(err) || errors.Is(err, io.ErrUnexpectedEOF) {
			damage = errors.Join(damage, err)
		} else if err != nil {
			return err
		}
	}
	for _, e := range v.mem {
		if err := dumpBatch(e.batch(), v.low, walName(e.gen), nil, enc); err != nil {
			return err
		}
	}
	if v.damaged != "" {
		damage = errors.Join(damage, errors.New(v.damaged))
	}
	if damage != nil {
		return &parley.Error{Code: parley.Damaged, Detail: "some of the stream could not be read: " + damage.Error(), Fix: "run `parley verify`", Err: damage}
	}
	return nil
}

// dumpSegment dumps the blocks that pass their check, and goes on behind those
// that do not.
func dumpSegment(fsys vfs.FS, s *segment, low parley.Position, enc *json.Encoder) (damage error) {
	f, marks, err := openSegment(fsys, s)
	if err != nil {
		return parley.Errorf(parley.Damaged, "segment %016x: %w", s.id, err)
	}
	defer f.Close()
	h := handle{seg: s, f: f, marks: marks}
	for i := range marks {
		b, err := readExactly(f, int64(marks[i].off), h.blockEnd(i)-int64(marks[i].off))
		if err == nil {
			err = checkBlock(marks[i], b)
		}
		if err != nil {
			damage = errors.Join(damage, parley.Errorf(parley.Damaged, "segment %016x at %d: %w", s.id, marks[i].off, err))
			continue
		}
		for off := int64(marks[i].off); len(b) > 0; {
			var batch parley.Batch
			batch, b, _ = parley.CutBatch(b) // checked
			at := off
			if err := dumpBatch(batch, low, segmentName(s.id), &at, enc); err != nil {
				return err
			}
			off += int64(batch.Size())
		}
	}
	return damage
}

func dumpBatch(b parley.Batch, low parley.Position, file string, off *int64, enc *json.Encoder) error {
	if b.Next() <= low {
		return nil
	}
	head := dumpedBatch{Base: b.Base(), Next: b.Next(), Epoch: b.Epoch(), Events: b.Len(), Bytes: b.Size(), Codec: b.Codec().String(), File: file, Offset: off}
	if err := enc.Encode(map[string]dumpedBatch{"batch": head}); err != nil {
		return err
	}
	for r, err := range b.Records() {
		if err != nil { // of a codec that is not known here, or made so by its producer
			return enc.Encode(map[string]any{"position": b.Base(), "error": fmt.Sprint(err)})
		}
		if r.Position < low {
			continue
		}
		d := dumped{Position: r.Position, Time: r.Time()}
		d.Key, d.Key64 = text(r.Key)
		d.Value, d.Value64 = text(r.Value)
		for k, v := range r.Headers() {
			if s, raw := text(v); s != nil {
				if d.Headers == nil {
					d.Headers = make(map[string]string)
				}
				d.Headers[k] = *s
			} else {
				if d.Header64 == nil {
					d.Header64 = make(map[string][]byte)
				}
				d.Header64[k] = raw
			}
		}
		if err := enc.Encode(d); err != nil {
			return err
		}
	}
	return nil
}

// text gives b as a string where it is one, else as it is; nil as neither.
func text(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}
