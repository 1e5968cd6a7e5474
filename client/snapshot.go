package client

import (
	"context"
	"io"
	"net/http"

	"github.com/parleyhq/parley"
)

// Snapshot gives a copy of everything that the server has stored, as it was at
// one commit, while the server goes on. The caller reads it to its end, which it
// has only if the copy is whole, and closes it. Errors: Forbidden without the
// scope admin, Unprocessable from a server that keeps nothing on a disk of its own,
// Unavailable.
func (c *Client) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(nil, "v1", "snapshot"), nil)
	if err != nil {
		return nil, parley.Errorf(parley.Invalid, "request: %w", err)
	}
	c.authorize(req.Header)
	res, err := c.opt.HTTP.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, Unreachable(c.base.Host, err)
	case res.StatusCode != http.StatusOK:
		defer res.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // what there is of it
		return nil, problem(res, body)
	}
	return res.Body, nil
}
