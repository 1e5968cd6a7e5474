// Command login is a login form that cannot be guessed at: however many guesses
// come at once, five are compared, and then the account is locked for a while.
//
//	go run ./examples/login
//	curl -d 'user=ada&password=lovelace' ADDRESS     is let in
//	for i in $(seq 20); do curl -d 'user=ada&password=guess' ADDRESS & done; wait
package main

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// form is the handler. Its guard is asked before the password is compared: that
// takes so long that a check made afterwards would let a hundred guesses past.
type form struct {
	guard  *throttle.Guard
	stored map[string][]byte // by user; a real one salts each
}

func hash(password string) []byte {
	sum, err := pbkdf2.Key(sha256.New, password, []byte("pepper"), 10_000, 32) // use 600,000 and more
	if err != nil {
		panic(err) // of sizes that are written here
	}
	return sum
}

func (f *form) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	account := strings.ToLower(strings.TrimSpace(r.PostFormValue("user")))
	attempt, err := f.guard.Enter(throttle.Subject{Account: account, IP: httpthrottle.IP()(r)})
	if err != nil {
		httpthrottle.Refuse(w, r, err)
		return
	}
	defer attempt.Done()
	// For an unknown user, too: neither the time nor the limits tell who exists.
	given := hash(r.PostFormValue("password"))
	if subtle.ConstantTimeCompare(given, f.stored[account]) != 1 {
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	attempt.Succeed() // an honest login costs nothing
	fmt.Fprintf(w, "welcome, %s\n", account)
}

func main() {
	guard, err := throttle.NewGuard(throttle.Login(), throttle.Options{})
	if err == nil {
		err = serve(&form{guard, map[string][]byte{"ada": hash("lovelace"), "grace": hash("hopper")}})
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(f *form) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return http.Serve(listener, f) // until Ctrl-C
}
