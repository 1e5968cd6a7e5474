package websocket

import (
	"encoding/binary"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// CloseCode is the number in a close frame (RFC 6455 §7.4). Parley's own codes
// say by their range whether the client should come back: see Reconnect.
type CloseCode uint16

// The codes of the RFC and its registry.
const (
	CloseNormal      CloseCode = 1000 // the purpose is fulfilled
	CloseGoingAway   CloseCode = 1001 // the server stops, or the page is left
	CloseProtocol    CloseCode = 1002 // the peer broke RFC 6455 or RFC 7692
	CloseUnsupported CloseCode = 1003 // a kind of data that is not accepted here
	CloseNoStatus    CloseCode = 1005 // never sent: the close frame was empty
	CloseAbnormal    CloseCode = 1006 // never sent: the connection ended without a close frame
	CloseInvalid     CloseCode = 1007 // text that is not UTF-8, or data that does not inflate
	ClosePolicy      CloseCode = 1008 // breaks a rule that no other code names
	CloseTooBig      CloseCode = 1009 // over Options.MaxMessage
	CloseExtension   CloseCode = 1010 // sent by clients only: an extension they need is missing
	CloseInternal    CloseCode = 1011 // a fault of the server
	CloseRestart     CloseCode = 1012 // the server restarts
	CloseTryLater    CloseCode = 1013 // overloaded
	CloseBadGateway  CloseCode = 1014 // what stands behind the server failed
)

// Parley's codes, 3000–3499: come back, after a pause with jitter.
const (
	CloseShutdown CloseCode = 3001 // this server stops or drains; another may answer
	CloseExpired  CloseCode = 3005 // the token expired; come back with a new one
	CloseSlow     CloseCode = 3008 // did not read fast enough
	CloseNoPong   CloseCode = 3012 // showed no sign of life
	CloseTooMany  CloseCode = 3013 // too many requests; slow down
)

// Parley's codes, 3500–3999: coming back unchanged would end the same way.
const (
	CloseInvalidToken      CloseCode = 3500 // the token is not accepted
	CloseBadRequest        CloseCode = 3501 // a message that could not be understood
	CloseStale             CloseCode = 3502 // did not introduce itself in time
	CloseForced            CloseCode = 3503 // an operator ended the connection for good
	CloseConnectionLimit   CloseCode = 3504 // too many connections
	CloseSubscriptionLimit CloseCode = 3505 // too many subscriptions on one connection
	ClosePermission        CloseCode = 3507 // the identity may not do this
)

// Reconnect says whether a client whose connection ended with code should come
// back by itself. 3000–3499 and, of the application's own codes, 4000–4499 say
// yes; 3500–3999 and 4500–4999 say no. Of the RFC's codes, those that the same
// client would only provoke again say no, and so does a normal end. A code that
// nobody has defined says yes: not knowing a word must not lose a client.
func Reconnect(code CloseCode) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return code%1000 < 500
	}
	switch code {
	case CloseNormal, CloseProtocol, CloseUnsupported, CloseInvalid, ClosePolicy, CloseTooBig, CloseExtension:
		return false
	}
	return true
}

// Valid reports whether code may stand in a close frame: 1000–1003, 1007–1014,
// 3000–4999 (RFC 6455 §7.4, with what its registry has added since).
func (code CloseCode) Valid() bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}

// maxReason is what a close frame leaves for the reason after its code.
const maxReason = maxControl - 2

// CloseError says how a connection ended. Reading methods return it; CloseCodeOf
// finds it in a chain.
type CloseError struct {
	Code   CloseCode // what the close frame said; CloseNoStatus and CloseAbnormal when none did
	Reason string    // at most 123 bytes of UTF-8, for people
	Remote bool      // the peer said so; false: this side ended it
	Err    error     // the cause, if there is one: a *parley.Error or the network's error
}

// Error implements error.
func (e *CloseError) Error() string {
	s := "websocket: closed by this side: "
	if e.Remote {
		s = "websocket: closed by the peer: "
	}
	s += strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		s += " " + strconv.Quote(e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *CloseError) Unwrap() error { return e.Err }

// CloseCodeOf gives the close code in err's chain, 0 if there is none.
func CloseCodeOf(err error) CloseCode {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return e.Code
	}
	return 0
}

// violation makes the error that ends a connection by fault of the peer.
func violation(code CloseCode, kind parley.Code, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason, Err: &parley.Error{Code: kind, Detail: reason}}
}

func protocolError(reason string) *CloseError {
	return violation(CloseProtocol, parley.Invalid, reason)
}

// parseClose reads the payload of a close frame (RFC 6455 §5.5.1): nothing, or a
// valid code and a reason in UTF-8.
func parseClose(p []byte) (*CloseError, error) {
	if len(p) == 0 {
		return &CloseError{Code: CloseNoStatus, Remote: true}, nil
	}
	if len(p) == 1 {
		return nil, protocolError("close frame with half a code")
	}
	code := CloseCode(binary.BigEndian.Uint16(p))
	if !code.Valid() {
		return nil, protocolError("close code may not be sent")
	}
	if !utf8.Valid(p[2:]) {
		return nil, violation(CloseInvalid, parley.Invalid, "close reason is not UTF-8")
	}
	return &CloseError{Code: code, Reason: string(p[2:]), Remote: true}, nil
}

// appendClose appends a whole close frame of a server. A code that may not be
// sent becomes an empty frame; a reason is cut at 123 bytes, at a character.
func appendClose(dst []byte, code CloseCode, reason string) []byte {
	if !code.Valid() {
		return append(dst, bitFin|byte(Close), 0)
	}
	if len(reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	if !utf8.ValidString(reason) {
		reason = ""
	}
	dst = append(dst, bitFin|byte(Close), byte(2+len(reason)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
