package patterntest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/pipe/declared"
)

var (
	_ patterntest.Piper = near{}
	_ patterntest.Piper = overHTTP{}
	_ patterntest.Piper = bySDK{}
)

func (h overHTTP) PutPipe(ctx context.Context, name string, text []byte, o declared.PutOptions) (info declared.Info, created bool, err error) {
	q := url.Values{"drain": {strconv.FormatBool(o.Drain)}}
	_, answer, err := h.call(ctx, http.MethodPut, base+"/pipes/"+name+"?"+q.Encode(), nil, text)
	if err != nil {
		return info, false, err
	}
	err = json.Unmarshal(answer, &info)
	return info, info.Revision == 1, err
}

func (h overHTTP) pipe(ctx context.Context, method, name, verb string) error {
	_, _, err := h.call(ctx, method, base+"/pipes/"+name+verb, nil, nil)
	return err
}

func (h overHTTP) StartPipe(ctx context.Context, name string) error {
	return h.pipe(ctx, http.MethodPost, name, "/start")
}

func (h overHTTP) PausePipe(ctx context.Context, name string) error {
	return h.pipe(ctx, http.MethodPost, name, "/pause")
}

func (h overHTTP) StopPipe(ctx context.Context, name string) error {
	return h.pipe(ctx, http.MethodPost, name, "/stop")
}

func (h overHTTP) DeletePipe(ctx context.Context, name string) error {
	return h.pipe(ctx, http.MethodDelete, name, "")
}

func (h overHTTP) PipeStats(ctx context.Context, name string) (s declared.Stats, err error) {
	_, answer, err := h.call(ctx, http.MethodGet, base+"/pipes/"+name+"/stats", nil, nil)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(answer, &s)
}

func (c bySDK) PutPipe(ctx context.Context, name string, text []byte, o declared.PutOptions) (declared.Info, bool, error) {
	return c.client.PutPipe(ctx, name, text, o)
}

func (c bySDK) StartPipe(ctx context.Context, name string) error {
	return c.client.StartPipe(ctx, name)
}

func (c bySDK) PausePipe(ctx context.Context, name string) error {
	return c.client.PausePipe(ctx, name)
}

func (c bySDK) StopPipe(ctx context.Context, name string) error {
	return c.client.StopPipe(ctx, name)
}

func (c bySDK) DeletePipe(ctx context.Context, name string) error {
	return c.client.DeletePipe(ctx, name)
}

func (c bySDK) PipeStats(ctx context.Context, name string) (declared.Stats, error) {
	return c.client.PipeStats(ctx, name)
}
