package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// TestParallelGuesses has a hundred guesses at once from as many addresses, while
// each comparison takes its time: exactly five are compared.
func TestParallelGuesses(t *testing.T) {
	now := time.Duration(0)
	guard, err := throttle.NewGuard(throttle.Login(), throttle.Options{Now: func() time.Duration { return now }})
	if err != nil {
		t.Fatal(err)
	}
	f := &form{guard, map[string][]byte{"ada": hash("lovelace"), "grace": hash("hopper")}}
	login := func(ip, user, password string) int {
		r := httptest.NewRequest("POST", "/", strings.NewReader(url.Values{"user": {user}, "password": {password}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = ip + ":1"
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if (w.Code == http.StatusTooManyRequests) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	for range 10 { // honest logins cost nothing
		if code := login("192.0.2.200", "ADA ", "lovelace"); code != http.StatusOK {
			t.Fatal(code)
		}
	}
	var mu sync.Mutex
	codes := map[int]int{}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			code := login(fmt.Sprint("192.0.2.", i), "ada", fmt.Sprint("guess", i))
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	if codes[http.StatusUnauthorized] != 5 || codes[http.StatusTooManyRequests] != 95 {
		t.Errorf("%v: 5 guesses in 15 minutes", codes)
	}
	if code := login("192.0.2.200", "ada", "lovelace"); code != http.StatusTooManyRequests {
		t.Errorf("%d: the account is locked for everybody", code)
	}
	if code := login("192.0.2.201", "grace", "hopper"); code != http.StatusOK {
		t.Errorf("%d: others are not", code)
	}
	now += 20 * time.Minute
	if code := login("192.0.2.200", "ada", "lovelace"); code != http.StatusOK {
		t.Errorf("%d: it is over after a while", code)
	}
}
