package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// Time limits of HTTP. Bodies have theirs in the API, and writes have none here:
// streams live long, and each of their writes has its own.
const (
	headTimeout = 10 * time.Second
	idleTimeout = 2 * time.Minute
	maxHead     = 64 << 10
	stopGrace   = 5 * time.Second // for the requests under way, when the streams are gone
)

// handler puts the server's own paths, the API and the console together.
func (s *Server) handler(api *httpapi.API) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.checked(s.guarded("metrics", s.metrics.handler())))
	mux.Handle("/", s.pages(api))
	return mux
}

// pages gives each request to the lab, the console or the API, which also tells
// what is nowhere.
func (s *Server) pages(api *httpapi.API) http.Handler {
	var lab, console http.Handler
	if s.opt.Lab != nil {
		lab = s.checked(s.guarded("lab", s.opt.Lab(api)))
	}
	if s.opt.Console != nil {
		console = s.checked(s.opt.Console)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case strings.HasPrefix(path, "/v1/"):
		case lab != nil && len(path) > len("/lab/") && strings.HasPrefix(path, "/lab/"): // /lab itself is a page
			lab.ServeHTTP(w, r)
			return
		case console != nil && !api.Serves(r):
			console.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

func (s *Server) access() httpapi.Access {
	return httpapi.Access{Origins: s.cfg.HTTP.Origins, Local: isLoopback(s.cfg.Listen)}
}

// checked refuses pages of other origins, as the API does.
func (s *Server) checked(next http.Handler) http.Handler {
	access := s.access()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := access.Check(w, r); err != nil {
			door.WriteProblem(w, err, door.TraceOf(r.Header.Get("Traceparent")))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// say answers with a word.
func say(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(word + "\n")) // the peer is gone when it fails
}

// readyz says whether the server takes new work: not while it stops.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.ready.Load() {
		say(w, http.StatusOK, "ready")
		return
	}
	say(w, http.StatusServiceUnavailable, "stopping")
}

// guarded lets those in who have the scope admin.
func (s *Server) guarded(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trace, now := door.TraceOf(r.Header.Get("Traceparent")), time.Now()
		who, err := s.identify.Identify(httpapi.Credential(r), now)
		if err == nil {
			err = door.Decide(who, door.Action{Verb: "admin"}, now)
		}
		if err != nil {
			door.WriteProblem(w, err, trace)
			s.metrics.Request(route, door.Status(parley.CodeOf(err)), time.Since(now))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveHTTP serves until ctx ends, and then drains.
func (s *Server) serveHTTP(ctx context.Context, home *door.Listener, h http.Handler, at *listeners) error {
	var speaks http.Protocols
	speaks.SetHTTP1(true)
	speaks.SetHTTP2(true)
	speaks.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: h, TLSConfig: s.tls, Protocols: &speaks, MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what peers do wrong
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(home) }()
	s.ready.Store(true)
	if s.opt.Started != nil {
		s.opt.Started(at.addresses(s.tls != nil))
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.drain(srv, home)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// drain stops without losing anybody's answer: nothing new is accepted, streams
// are told to come back, requests under way are answered.
func (s *Server) drain(srv *http.Server, home *door.Listener) {
	s.ready.Store(false)
	_ = home.Close() // its only error is that it is closed
	began, open := time.Now(), s.lives.Count()
	s.log.Info("draining", slog.Int("connections", open), slog.Duration("window", s.cfg.Drain))
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain+door.WriteTimeout+time.Second) //nolint:forbidigo // the server's own is over
	defer cancel()
	if err := s.lives.Drain(ctx, s.cfg.Drain); err != nil {
		s.log.Warn("connections cut off", slog.Int("connections", s.lives.Count()))
	}
	grace, stop := context.WithTimeout(context.Background(), stopGrace) //nolint:forbidigo // as above
	defer stop()
	if err := srv.Shutdown(grace); err != nil {
		s.log.Warn("requests cut off", slog.Any("error", err))
		_ = srv.Close()
	}
	s.log.Info("drained", slog.Duration("took", time.Since(began)))
}
