package client

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/parleyhq/parley"
)

// Unreachable makes one error of what kept a connection to host from working, or
// ended it before there was an answer: Unsupported when one side speaks TLS and
// the other does not, Unauthenticated when the server's certificate is not trusted
// (no repetition mends either), Unavailable when nothing was sent, and Unknown
// when the request may have arrived. It is for transports.
func Unreachable(host string, err error) *parley.Error {
	e := &parley.Error{Code: parley.Unknown, Detail: "no answer from " + host, Fix: startIt, Err: err}
	text := err.Error() // a transport may have made text of its cause
	var refused *tls.CertificateVerificationError
	var dial *net.OpError
	switch {
	case errors.As(err, &refused):
		e.Code, e.Detail, e.Fix = parley.Unauthenticated, "the certificate of "+host+" is not trusted: "+refused.Err.Error(), trustIt
	case strings.Contains(text, "x509: "):
		e.Code, e.Detail, e.Fix = parley.Unauthenticated, "the certificate of "+host+" is not trusted: "+text[strings.Index(text, "x509: "):], trustIt
		e.Detail = strings.TrimRight(e.Detail, `"`)
	case errors.Is(err, http.ErrSchemeMismatch), strings.Contains(text, "first record does not look like a TLS handshake"):
		e.Code, e.Detail, e.Fix = parley.Unsupported, host+" does not speak TLS", "use http://"+host
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "connection refused"):
		e.Code, e.Detail = parley.Unavailable, "no answer from "+host+": connection refused"
	case errors.As(err, &dial) && dial.Op == "dial":
		e.Code, e.Detail = parley.Unavailable, "no connection to "+host+": "+dial.Err.Error()
	}
	return e
}

// noStream is Unreachable for what changes nothing at the server.
func noStream(host string, err error) *parley.Error {
	e := Unreachable(host, err)
	if e.Code == parley.Unknown {
		e.Code = parley.Unavailable
	}
	return e
}

const (
	startIt = "is the server running? start it with `parley serve`"
	trustIt = "have the client trust it: --ca FILE or SSL_CERT_FILE for the command line, Options.HTTP for the SDK; and check the name in the URL"
)

// speaksTLS knows the answer of a TLS port to a request in plain text.
func speaksTLS(res *http.Response, body []byte) *parley.Error {
	if res.StatusCode != http.StatusBadRequest || res.Request.URL.Scheme != "http" || !strings.Contains(string(body), "HTTP request to an HTTPS server") {
		return nil
	}
	host := res.Request.URL.Host
	return &parley.Error{Code: parley.Unsupported, Detail: host + " speaks TLS", Fix: "use https://" + host}
}
