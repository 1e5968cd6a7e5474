package door

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Token is an API token as the configuration holds it: nothing in it lets
// anybody act as the token's owner.
type Token struct {
	Name    string    `yaml:"name" json:"name"`
	Hash    string    `yaml:"hash" json:"hash"` // "sha256:" and the hex SHA-256 of the token
	Scopes  []string  `yaml:"scopes" json:"scopes"`
	Expires time.Time `yaml:"expires,omitempty" json:"expires,omitzero"`
	// Verifiers for SASL SCRAM (RFC 5802, RFC 7677), by mechanism:
	// "iterations:salt:storedkey:serverkey", base64. A protocol that cannot send a
	// bearer token proves knowledge of it with these.
	SCRAM map[string]string `yaml:"scram,omitempty" json:"scram,omitempty"`
}

const (
	tokenPrefix     = "parley_"
	tokenBytes      = 24
	scramIterations = 4096 // RFC 7677 §4; the token has 192 random bits, so more would buy nothing
)

// MakeToken makes a new random token: the secret, to be shown once, and what the
// configuration stores. The secret ends in a checksum, so that a mistyped one is
// told from an unknown one, and scanners of leaked secrets can be sure.
func MakeToken(name string, scopes []string, expires time.Time) (secret string, t Token, err error) {
	if name == "" || len(name) > 64 {
		return "", Token{}, parley.BadField("name", "a token needs a name of 1 to 64 bytes", "name it after who uses it")
	}
	for _, s := range scopes {
		if _, err := ParseScope(s); err != nil {
			return "", Token{}, err
		}
	}
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails
	body := base64.RawURLEncoding.EncodeToString(raw)
	secret = tokenPrefix + body + checksum(body)
	sum := sha256.Sum256([]byte(secret))
	t = Token{Name: name, Hash: "sha256:" + hex.EncodeToString(sum[:]), Scopes: scopes, Expires: expires, SCRAM: map[string]string{}}
	if t.SCRAM["SCRAM-SHA-256"], err = scramVerifier(sha256.New, secret); err != nil {
		return "", Token{}, err
	}
	if t.SCRAM["SCRAM-SHA-512"], err = scramVerifier(sha512.New, secret); err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

func checksum(body string) string {
	const hexits = "0123456789abcdef"
	sum := crc32.ChecksumIEEE([]byte(body))
	return string([]byte{hexits[sum>>28&15], hexits[sum>>24&15], hexits[sum>>20&15], hexits[sum>>16&15]})
}

// scramVerifier computes StoredKey and ServerKey of RFC 5802 §3.
func scramVerifier(h func() hash.Hash, secret string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(h, secret, salt, scramIterations, h().Size())
	if err != nil {
		return "", parley.Errorf(parley.Internal, "scram: %w", err)
	}
	mac := func(text string) []byte {
		m := hmac.New(h, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := h()
	stored.Write(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return strings.Join([]string{strconv.Itoa(scramIterations), b64(salt), b64(stored.Sum(nil)), b64(mac("Server Key"))}, ":"), nil
}

// Tokens identifies callers by API tokens. It is immutable.
type Tokens struct {
	byHash    map[[sha256.Size]byte]Identity
	anonymous Identity
}

// NewTokens checks the configured tokens. anonymous are the scopes of callers
// without one.
func NewTokens(tokens []Token, anonymous []string) (*Tokens, error) {
	ts := &Tokens{byHash: make(map[[sha256.Size]byte]Identity, len(tokens)), anonymous: Identity{Anonymous: true}}
	var err error
	if ts.anonymous.Scopes, err = parseScopes(anonymous); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, t := range tokens {
		field := "tokens[" + strconv.Itoa(i) + "]"
		digest, ok := strings.CutPrefix(t.Hash, "sha256:")
		raw, err := hex.DecodeString(digest)
		switch {
		case t.Name == "" || names[t.Name]:
			return nil, parley.BadField(field+".name", "is empty or comes twice", "give every token a name of its own")
		case !ok || err != nil || len(raw) != sha256.Size:
			return nil, parley.BadField(field+".hash", "is not sha256: and 64 hex digits", "take what `parley token` prints")
		case len(t.Scopes) == 0:
			return nil, parley.BadField(field+".scopes", "is empty", "name what the token may do, such as read:orders.>")
		}
		names[t.Name] = true
		scopes, err := parseScopes(t.Scopes)
		if err != nil {
			return nil, err
		}
		ts.byHash[[sha256.Size]byte(raw)] = Identity{Name: t.Name, Scopes: scopes, Expires: t.Expires}
	}
	return ts, nil
}

func parseScopes(texts []string) ([]Scope, error) {
	var scopes []Scope
	for _, text := range texts {
		s, err := ParseScope(text)
		if err != nil {
			return nil, err
		}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// Identify implements Identifier. The look-up is by the token's digest, so its
// timing says nothing about other tokens.
func (ts *Tokens) Identify(credential string, now time.Time) (Identity, error) {
	if credential == "" {
		return ts.anonymous, nil
	}
	body, ok := strings.CutPrefix(credential, tokenPrefix)
	if n := len(body) - 4; !ok || n <= 0 || subtle.ConstantTimeCompare([]byte(checksum(body[:n])), []byte(body[n:])) != 1 {
		return Identity{}, &parley.Error{Code: parley.Unauthenticated, Field: "Authorization", Detail: "this is not a token of ours, or it is mistyped", Fix: "send the token as `parley token` printed it"}
	}
	who, ok := ts.byHash[sha256.Sum256([]byte(credential))]
	if !ok {
		return Identity{}, &parley.Error{Code: parley.Unauthenticated, Field: "Authorization", Detail: "unknown token", Fix: "add it to `tokens` in the server's configuration"}
	}
	if !who.Expires.IsZero() && !now.Before(who.Expires) {
		return Identity{}, errExpired
	}
	return who, nil
}
