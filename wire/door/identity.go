package door

import (
	"time"

	"github.com/parleyhq/parley"
)

// Identity is who a request comes from.
type Identity struct {
	Name      string // of the token; "" = anonymous
	Scopes    []Scope
	Expires   time.Time // zero = never
	Anonymous bool
}

// Identifier tells who a credential belongs to. Errors are Unauthenticated.
type Identifier interface {
	// Identify takes the credential as it was sent, "" for none.
	Identify(credential string, now time.Time) (Identity, error)
}

// Open identifies everybody as an anonymous caller who may do everything: a
// server on loopback without tokens.
type Open struct{}

// Identify implements Identifier. A credential that nobody can check is refused:
// who sends one expects it to matter.
func (Open) Identify(credential string, _ time.Time) (Identity, error) {
	if credential != "" {
		return Identity{}, &parley.Error{
			Code: parley.Unauthenticated, Field: "Authorization",
			Detail: "a token was sent, and this server has none configured",
			Fix:    "send no token, or add it to `tokens` in the server's configuration",
		}
	}
	return Identity{Scopes: allScopes, Anonymous: true}, nil
}

// allScopes is read and never written.
var allScopes = []Scope{{Verb: "*"}}

// Decide is the one decision of all doors: nil when the identity may do it at
// this time. Errors: Unauthenticated for an anonymous caller and for an identity
// that has expired, Forbidden otherwise, with the scope that is missing.
func Decide(who Identity, a Action, now time.Time) error {
	if !who.Expires.IsZero() && !now.Before(who.Expires) {
		return errExpired
	}
	for _, s := range who.Scopes {
		if s.covers(a) {
			return nil
		}
	}
	need := Scope(a)
	if who.Anonymous {
		return &parley.Error{
			Code: parley.Unauthenticated, Field: "Authorization",
			Detail: "this needs a token with the scope " + need.String(),
			Fix:    "send Authorization: Bearer TOKEN",
		}
	}
	return &parley.Error{
		Code: parley.Forbidden, Field: "Authorization",
		Detail: "the token " + who.Name + " lacks the scope " + need.String(),
		Fix:    "use a token that has it; `parley token` makes one",
	}
}

var errExpired = &parley.Error{
	Code: parley.Unauthenticated, Field: "Authorization",
	Detail: "the token has expired", Fix: "make a new one with `parley token`",
}
