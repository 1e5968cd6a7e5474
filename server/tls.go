package server

import (
	"crypto/tls"

	"github.com/parleyhq/parley"
)

// TLS names the files of the server's certificate; both empty is plain text.
type TLS struct {
	Cert string // PEM: the certificate, then its chain
	Key  string // PEM
}

func tlsFields() []Field {
	return []Field{
		scalar(Field{
			Path: "tls.cert", Type: "file", Flag: "tls-cert", Example: "/etc/parley/cert.pem",
			Doc: "The certificate in PEM, followed by its chain. With it the server speaks TLS, 1.2 and later, and HTTP/2. The command line trusts a certificate that the system does not know by `--ca FILE`, or PARLEY_CA.",
		}, func(c *Config) *string { return &c.TLS.Cert }, parseText),
		scalar(Field{
			Path: "tls.key", Type: "file", Flag: "tls-key", Example: "/etc/parley/key.pem",
			Doc: "The private key of the certificate in PEM.",
		}, func(c *Config) *string { return &c.TLS.Key }, parseText),
	}
}

// config loads the certificate; nil is plain text.
func (t TLS) config() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, &parley.Error{Code: parley.Invalid, Field: "tls", Detail: err.Error(), Fix: "name a certificate and its key in PEM, readable by the server", Err: err}
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}
