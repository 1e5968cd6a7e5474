package door

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestScopes(t *testing.T) {
	for _, row := range []struct {
		scope, verb, on string
		allowed         bool
	}{
		{"publish:orders.>", "publish", "orders.eu", true},
		{"publish:orders.>", "publish", "orders", false},
		{"publish:orders.>", "read", "orders.eu", false},
		{"publish:orders.*", "publish", "orders.eu.1", false},
		{"publish:orders.*", "publish", "~orders.eu", true},
		{"read:orders", "read", "orders", true},
		{"read:orders", "read", "orders.>", false},
		{"read:orders.>", "read", "orders.>", true},
		{"read:orders.>", "read", "orders.*", true},
		{"read:orders.*", "read", "orders.>", false},
		{"read:orders.*", "read", ">", false},
		{"read", "read", ">", true},
		{"read", "read", "$topics", false},
		{"read:>", "read", "anything", true},
		{"read:*.a", "read", "$x.a", false},
		{"read:*.>", "read", "$x.a", false},
		{"read:$topics", "read", "$topics", true},
		{"read:$topics", "read", "topics", false},
		{"read:a", "read", "", false},
		{"*", "read", "$topics", true},
		{"*", "admin", "", true},
		{"admin", "admin", "", true},
		{"read", "admin", "", false},
	} {
		s, err := ParseScope(row.scope)
		if err != nil {
			t.Fatal(err)
		}
		err = Decide(Identity{Name: "t", Scopes: []Scope{s}}, Action{row.verb, row.on}, time.Now())
		if (err == nil) != row.allowed {
			t.Errorf("%s for %s:%s gives %v", row.scope, row.verb, row.on, err)
		}
		if err != nil && parley.CodeOf(err) != parley.Forbidden {
			t.Errorf("refused as %v", parley.CodeOf(err))
		}
	}
	for _, bad := range []string{"", "fly", "publish:a..b", "read:>.a"} {
		if _, err := ParseScope(bad); err == nil {
			t.Errorf("%q is taken for a scope", bad)
		}
	}
}

func TestTokens(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	secret, token, err := MakeToken("shop", []string{"publish:orders.>"}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(token.Hash+token.SCRAM["SCRAM-SHA-256"], secret) {
		t.Fatal("the configuration holds the secret")
	}
	ts, err := NewTokens([]Token{token}, []string{"read"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what, credential string
		at               time.Time
		name             string
		code             parley.Code
	}{
		{"the token", secret, now, "shop", 0},
		{"a moment before it expires", secret, now.Add(time.Hour - 1), "shop", 0},
		{"expired", secret, now.Add(time.Hour), "", parley.Unauthenticated},
		{"none", "", now, "", 0},
		{"mistyped", secret[:len(secret)-1] + "x", now, "", parley.Unauthenticated},
		{"cut", secret[:len(secret)-1], now, "", parley.Unauthenticated},
		{"the prefix alone", tokenPrefix, now, "", parley.Unauthenticated},
		{"something else", "abc", now, "", parley.Unauthenticated},
	} {
		who, err := ts.Identify(row.credential, row.at)
		if who.Name != row.name || (err != nil) != (row.code != 0) || err != nil && parley.CodeOf(err) != row.code {
			t.Errorf("%s: %+v, %v", row.what, who, err)
		}
		if err != nil && who.Scopes != nil {
			t.Errorf("%s: a refused credential has scopes", row.what)
		}
	}
	other, _, _ := MakeToken("other", []string{"*"}, time.Time{})
	if _, err := ts.Identify(other, now); parley.CodeOf(err) != parley.Unauthenticated {
		t.Errorf("an unknown token: %v", err)
	}
}

// TestSCRAMVerifier computes the verifier another way, as RFC 5802 §3 writes it.
func TestSCRAMVerifier(t *testing.T) {
	secret, token, err := MakeToken("t", []string{"*"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.SCRAM["SCRAM-SHA-256"], ":")
	iterations, _ := strconv.Atoi(parts[0])
	salt, _ := base64.StdEncoding.DecodeString(parts[1])
	salted, _ := pbkdf2.Key(sha256.New, secret, salt, iterations, 32)
	m := hmac.New(sha256.New, salted)
	m.Write([]byte("Client Key"))
	stored := sha256.Sum256(m.Sum(nil))
	if base64.StdEncoding.EncodeToString(stored[:]) != parts[2] {
		t.Error("StoredKey differs")
	}
	m = hmac.New(sha256.New, salted)
	m.Write([]byte("Server Key"))
	if base64.StdEncoding.EncodeToString(m.Sum(nil)) != parts[3] {
		t.Error("ServerKey differs")
	}
}

func TestTokensRefuse(t *testing.T) {
	_, good, _ := MakeToken("a", []string{"read"}, time.Time{})
	with := func(change func(*Token)) []Token { t := good; change(&t); return []Token{t} }
	for name, tokens := range map[string][]Token{
		"tokens[1].name":   {good, good},
		"tokens[0].name":   with(func(t *Token) { t.Name = "" }),
		"tokens[0].hash":   with(func(t *Token) { t.Hash = "sha256:12" }),
		"tokens[0].scopes": with(func(t *Token) { t.Scopes = nil }),
		"scope":            with(func(t *Token) { t.Scopes = []string{"fly"} }),
	} {
		_, err := NewTokens(tokens, nil)
		if e, ok := err.(*parley.Error); !ok || e.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenTakesNoToken(t *testing.T) {
	if _, err := (Open{}).Identify("parley_x", time.Now()); parley.CodeOf(err) != parley.Unauthenticated {
		t.Fatal(err)
	}
	who, err := (Open{}).Identify("", time.Now())
	if err != nil || Decide(who, Action{"manage", "a"}, time.Now()) != nil {
		t.Fatal(who, err)
	}
}

func TestTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, row := range []struct {
		in   string
		same bool
	}{
		{good, true},
		{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true},
		{good + "-more", false},
		{"ff" + good[2:], false},
		{strings.ToUpper(good), false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
		{good[:54], false},
		{"", false},
	} {
		got := TraceOf(row.in).String()
		if len(got) != 55 || (got[3:35] == good[3:35]) != row.same || got[36:52] == good[36:52] {
			t.Errorf("%q continues as %q", row.in, got)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := parseTraceparent(TraceOf(s).String()); !ok || got.ID == [16]byte{} {
			t.Fatalf("%q makes a trace that is none", s)
		}
	})
}

func TestEveryCodeHasItsStatusAndProblem(t *testing.T) {
	for _, info := range parley.Codes() {
		if _, ok := statuses[info.Code]; !ok {
			t.Errorf("%s has no status", info.Name)
		}
		w := httptest.NewRecorder()
		WriteProblem(w, &parley.Error{Code: info.Code, Field: "f", Detail: "secret detail", Fix: "fix", RetryAfter: 1500 * time.Millisecond}, TraceOf(""))
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if p.Type != "urn:parley:error:"+info.Name || p.Status != w.Code || p.Title == "" {
			t.Errorf("%+v", p)
		}
		if (p.Detail == "") != (info.Code == parley.Internal) {
			t.Errorf("%s shows detail %q", info.Name, p.Detail)
		}
		if got := w.Header().Get("Retry-After"); got != "2" {
			t.Errorf("%s: Retry-After %q, want whole seconds, rounded up", info.Name, got)
		}
		if w.Code == 401 != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate %q", info.Name, w.Header().Get("WWW-Authenticate"))
		}
	}
}
