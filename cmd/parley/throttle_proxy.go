package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// throttleProxy is a reverse proxy with limits before it.
type throttleProxy struct {
	upstream string
	listen   string
	limits   []string
	key      string
	trusted  []string
	shape    time.Duration
	shadow   bool

	allowed, refused atomic.Int64
}

func (p *throttleProxy) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.upstream, "upstream", "", "`URL` of the server that requests go to")
	f.StringArrayVar(&p.limits, "limit", nil, "`LIMIT` of requests, such as 3/s; may be repeated")
	f.StringVar(&p.key, "key", "ip", "what is counted by: ip, token, path, method, everyone, header:NAME, query:NAME, joined by +")
	f.StringVar(&p.listen, "listen", "127.0.0.1:7280", "`HOST:PORT` to listen on; port 0 takes a free one")
	f.StringSliceVar(&p.trusted, "trusted", nil, "`ADDRESS` or network of proxies whose X-Forwarded-For is believed")
	f.DurationVar(&p.shape, "shape", 0, "make requests wait their turn for up to this `duration`, instead of refusing them")
	f.BoolVar(&p.shadow, "shadow", false, "only count what would be refused")
}

// throttling is what `throttle --json` prints.
type throttling struct {
	HTTP     string   `json:"http"` // URL
	Upstream string   `json:"upstream"`
	Limits   []string `json:"limits"`
	Key      string   `json:"key"`
}

// run serves until ctx ends.
func (p *throttleProxy) run(ctx context.Context, a *app) (answer, error) {
	target, err := url.Parse(p.upstream)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return answer{}, usagef("write it like --upstream http://127.0.0.1:3000", "--upstream %q is not an http or https URL", p.upstream)
	}
	rules, names, err := p.rules()
	if err != nil {
		return answer{}, err
	}
	limit, err := httpthrottle.New(httpthrottle.Options{Rules: rules, Shadow: p.shadow, Observe: p.observe})
	if err != nil {
		return answer{}, &usage{err}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", p.listen)
	if err != nil {
		return answer{}, &parley.Error{Code: parley.Unavailable, Field: "--listen", Detail: err.Error(), Fix: "stop what listens there, or choose another address; port 0 takes a free one", Err: err}
	}
	srv := &http.Server{
		Handler: limit(p.proxy(target)), MaxHeaderBytes: 64 << 10, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // what peers do wrong
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	at := throttling{HTTP: "http://" + ln.Addr().String(), Upstream: target.String(), Limits: names, Key: p.key}
	if err := p.began(a, at); err != nil {
		_ = srv.Close()
		return answer{}, err
	}
	select {
	case err := <-served:
		return answer{}, err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return answer{}, err
	}
	return answer{Summary: count(p.allowed.Load(), "request") + " let through, " + strconv.FormatInt(p.refused.Load(), 10) + " refused", Result: at}, nil
}

// began says that requests may come.
func (p *throttleProxy) began(a *app, at throttling) error {
	if a.json {
		return a.answer("throttle", answer{Summary: "throttling " + at.Upstream, Result: at})
	}
	verb := "refuses what is above"
	switch {
	case p.shadow:
		verb = "counts what is above"
	case p.shape > 0:
		verb = "makes wait, up to " + p.shape.String() + ", what is above"
	}
	a.say("%s goes to %s and %s %s by %s\n", at.HTTP, at.Upstream, verb, strings.Join(at.Limits, " and "), at.Key)
	a.say("try  for i in 1 2 3 4 5; do curl -s -o /dev/null -w '%%{http_code}\\n' %s/; done\n", at.HTTP)
	return nil
}

func (p *throttleProxy) rules() ([]httpthrottle.Rule, []string, error) {
	if len(p.limits) == 0 {
		return nil, nil, usagef("say how much, such as --limit 3/s", "--limit is missing")
	}
	trusted, err := httpthrottle.ParseTrusted(p.trusted...)
	if err != nil {
		return nil, nil, usagef("write --trusted like 10.0.0.0/8", "%s", strings.TrimPrefix(err.Error(), "httpthrottle: "))
	}
	key, err := httpthrottle.ParseKey(p.key, trusted...)
	if err != nil {
		return nil, nil, usagef("write it like --key ip or --key ip+path", "%s", strings.TrimPrefix(err.Error(), "httpthrottle: "))
	}
	if p.shape < 0 {
		return nil, nil, usagef("write --shape like 5s", "--shape is negative")
	}
	var rules []httpthrottle.Rule
	var names []string
	for i, text := range p.limits {
		limit, err := throttle.ParseLimit(text)
		if err != nil {
			return nil, nil, usagef("write it like --limit 3/s or --limit \"100/1m burst=20\"", "%s", strings.TrimPrefix(err.Error(), "throttle: "))
		}
		name := "limit"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		limiter, err := throttle.New(limit, throttle.Options{Name: name, MaxWait: p.shape})
		if err != nil {
			return nil, nil, &usage{err}
		}
		rules = append(rules, httpthrottle.Rule{Limiter: limiter, Key: key, Wait: p.shape > 0})
		names = append(names, limit.String())
	}
	return rules, names, nil
}

func (p *throttleProxy) observe(_ *http.Request, o httpthrottle.Observation) {
	if !o.Decision.OK {
		p.refused.Add(1)
	}
}

// proxy sends requests on. Answers are flushed as they come, so that streams pass.
func (p *throttleProxy) proxy(target *url.URL) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.Proxy = nil
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
			p.allowed.Add(1)
		},
		Transport: transport, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the client went away
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "the upstream "+target.Host+" does not answer: "+err.Error()+"\n")
		},
	}
}
