package natslog

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// list asks for the subjects of all homes, page by page.
func (l *Log) list(ctx context.Context, namespace string) ([]parley.Stream, error) {
	var all []parley.Stream
	for _, h := range l.homes {
		filter := h.prefix + kindEvents + "." + token(namespace) + ".*"
		for offset := 0; ; {
			var info streamInfo
			if err := l.x.api(ctx, "STREAM.INFO."+h.stream, map[string]any{"subjects_filter": filter, "offset": offset}, &info); err != nil {
				return nil, h.failed(err)
			}
			for subject := range info.State.Subjects {
				if _, s, ok := parseSubject(strings.TrimPrefix(subject, h.prefix)); ok {
					all = append(all, s)
				}
			}
			if offset += len(info.State.Subjects); len(info.State.Subjects) == 0 || offset >= info.Total {
				break
			}
		}
	}
	slices.SortFunc(all, func(a, b parley.Stream) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(all), nil
}
