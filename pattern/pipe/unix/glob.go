package unix

import (
	"path/filepath"
	"strings"

	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// maxFiles bounds what one pattern stands for.
const maxFiles = 10_000

// expand puts file names in the place of patterns, as a shell does: in order, none
// that begins with a dot unless the pattern does, and a pattern that nothing
// matches stays.
func expand(text string, words []lang.Word) ([]lang.Word, error) {
	var all []lang.Word
	for _, w := range words {
		if w.Glob == "" {
			all = append(all, w)
			continue
		}
		names, err := filepath.Glob(w.Glob)
		if err != nil {
			all = append(all, w) // as a shell: what is no pattern is a word
			continue
		}
		if len(names) > maxFiles {
			return nil, lang.At(text, w, "name a folder that has fewer", "%d files match %s; the limit is %d", len(names), w.Raw, maxFiles)
		}
		found := false
		for _, n := range names {
			if strings.HasPrefix(filepath.Base(n), ".") && !strings.HasPrefix(filepath.Base(w.Glob), ".") {
				continue
			}
			found = true
			all = append(all, lang.Word{Text: n, Raw: w.Raw, Pos: w.Pos})
		}
		if !found {
			all = append(all, w)
		}
	}
	return all, nil
}
