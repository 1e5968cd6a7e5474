package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/client/overgrpc"
)

// remote is how a command reaches its server.
type remote struct {
	url   string
	grpc  string
	token string
	ca    string
}

// remoteFlags adds --server, --token and --ca; PARLEY_URL, PARLEY_TOKEN and
// PARLEY_CA are their defaults.
func (a *app) remoteFlags(c *cobra.Command) *remote {
	r := &remote{}
	url := a.getenv("PARLEY_URL")
	if url == "" {
		url = "http://127.0.0.1:7275"
	}
	c.Flags().StringVar(&r.url, "server", url, "`URL` of the server; also PARLEY_URL")
	c.Flags().StringVar(&r.token, "token", "", "API token; better PARLEY_TOKEN, which no other user can see")
	c.Flags().StringVar(&r.ca, "ca", a.getenv("PARLEY_CA"), "PEM `file` of certificates to trust beside the system's; also PARLEY_CA (SSL_CERT_FILE is honoured, too)")
	return r
}

// grpcFlag adds --grpc, for the commands that can use it.
func (a *app) grpcFlag(c *cobra.Command, r *remote) {
	address := a.getenv("PARLEY_GRPC")
	if address == "" {
		address = "127.0.0.1:7276"
	}
	c.Flags().StringVar(&r.grpc, "grpc", address, "`HOST:PORT` of the server's gRPC, for --over grpc, with TLS if --server is https; also PARLEY_GRPC")
}

// secure is how the server's certificate is checked; nil is the system's way.
func (r *remote) secure() (*tls.Config, error) {
	if r.ca == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(r.ca)
	if err != nil {
		return nil, &usage{parley.BadField("--ca", err.Error(), "check the path")}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // there is none on this system
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &usage{parley.BadField("--ca", r.ca+" has no certificate in PEM", "give the file that begins with -----BEGIN CERTIFICATE-----")}
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// client makes the client that the flags describe. gRPC connects when it is used.
func (a *app) client(r *remote) (*client.Client, error) {
	o := client.Options{Token: r.token, OnReconnect: a.reconnecting, OnRetry: a.retrying}
	if o.Token == "" {
		o.Token = a.getenv("PARLEY_TOKEN")
	}
	secure, err := r.secure()
	if err != nil {
		return nil, err
	}
	if secure != nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = secure.Clone()
		o.HTTP = &http.Client{Transport: transport}
	}
	if r.grpc != "" {
		g := overgrpc.Options{Token: o.Token}
		if strings.HasPrefix(strings.ToLower(r.url), "https:") {
			if g.TLS = secure; secure == nil {
				g.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			}
		}
		transport, err := overgrpc.Dial(r.grpc, g)
		if err != nil {
			return nil, asked(err)
		}
		o.GRPC = transport // it lives as long as the command
	}
	c, err := client.New(r.url, o)
	return c, asked(err)
}

// retrying tells of a pause that one would wonder at.
func (a *app) retrying(cause error, wait time.Duration) {
	if wait < time.Second {
		return
	}
	a.say("%s\n", a.paint(dim, "waiting "+wait.Round(time.Millisecond).String()+", since "+explain(cause)[0].Detail))
}

// reconnecting tells that a subscription's connection is made again.
func (a *app) reconnecting(cause error, wait time.Duration) {
	if cause == nil {
		return
	}
	why := explain(cause)[0].Detail
	a.say("%s\n", a.paint(dim, "connection lost ("+why+"); again in "+wait.Round(time.Millisecond).String()))
}
