package valkey

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo has the client library write what it says about its connections to l, at
// level debug; else it writes to standard error. It holds for all its clients in the
// process. Whether the store answers is told by Options.OnOutage.
func LogTo(l *slog.Logger) { redis.SetLogger(library{l}) }

type library struct{ log *slog.Logger }

// Printf implements the library's logger.
func (l library) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.LogAttrs(ctx, slog.LevelDebug, "the client of the store", slog.String("says", fmt.Sprintf(format, v...)))
	}
}
