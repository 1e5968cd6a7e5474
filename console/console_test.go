package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// budget is the size of everything that the browser loads, compressed.
const budget = 120 << 10

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestScreens(t *testing.T) {
	for _, path := range []string{"/", "/topics", "/topics/", "/topics/orders.eu", "/topics/%7Etyping", "/topics/a%2Fb", "/lab", "/pipes", "/pipes/big-orders", "/topics/orders?from=earliest"} {
		r := get(t, http.MethodGet, path)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body(t, r), `<div id="app">`) {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
		if r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: the page would be kept: %s", path, r.Header.Get("Cache-Control"))
		}
	}
}

// TestWhatIsMissing wants no page for what is not a screen: a script tag that gets one
// fails where nobody looks.
func TestWhatIsMissing(t *testing.T) {
	for _, path := range []string{"/assets/app-00000000.js", "/assets/", "/assets", "/favicon.ico", "/topics/a/b", "/topics//", "/labs", "/index.html", "/dist/index.html", "/../console.go", "/sources.sha256", "//topics"} {
		r := get(t, http.MethodGet, path)
		var p struct {
			Type, Fix string
			Status    int
		}
		if err := json.Unmarshal([]byte(body(t, r)), &p); err != nil || r.StatusCode != http.StatusNotFound || p.Status != r.StatusCode || p.Type != "urn:parley:error:not-found" || p.Fix == "" {
			t.Errorf("%s: %d %+v %v", path, r.StatusCode, p, err)
		}
		if media := r.Header.Get("Content-Type"); media != "application/problem+json" {
			t.Errorf("%s: %s", path, media)
		}
	}
	if r := get(t, http.MethodPost, "/topics"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow: %s", r.StatusCode, r.Header.Get("Allow"))
	}
}

func assets(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(dist, "dist/assets/*")
	if err != nil || len(names) < 4 {
		t.Fatalf("%v, %v: build the console: make console", names, err)
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, "dist")
	}
	return names
}

func TestAssets(t *testing.T) {
	page, total := body(t, get(t, http.MethodGet, "/")), 0
	for _, name := range assets(t) {
		r := get(t, http.MethodGet, name)
		whole := body(t, r)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != media[filepath.Ext(name)] || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
		}
		if r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control: %s", name, r.Header.Get("Cache-Control"))
		}
		if !strings.Contains(page, `"`+name+`"`) {
			t.Errorf("the page does not load %s", name)
		}
		zipped := get(t, http.MethodGet, name, "Accept-Encoding", "br, gzip;q=0.5")
		total += len(body(t, zipped))
		if zipped.Header.Get("ETag") == r.Header.Get("ETag") && zipped.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: two representations have one ETag", name)
		}
		for _, never := range []string{"\"http://", "'http://", "url(http", "url(//", "sourceMappingURL"} {
			if strings.Contains(whole, never) && !strings.Contains(whole, "\"http://www.w3.org/") {
				t.Errorf("%s contains %s: a request that leaves the server?", name, never)
			}
		}
	}
	if total > budget {
		t.Errorf("the console is %d bytes compressed; the budget is %d", total, budget)
	}
	t.Logf("%d bytes compressed", total)
}

func TestConditionalAndCompressed(t *testing.T) {
	plain, zipped := get(t, http.MethodGet, "/"), get(t, http.MethodGet, assets(t)[0], "Accept-Encoding", "gzip")
	if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", zipped.Header)
	}
	etag := plain.Header.Get("ETag")
	for match, status := range map[string]int{etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, "": 200} {
		r := get(t, http.MethodGet, "/", "If-None-Match", match)
		if r.StatusCode != status || r.Header.Get("ETag") != etag || status == 304 && body(t, r) != "" {
			t.Errorf("If-None-Match %s: %d, want %d", match, r.StatusCode, status)
		}
	}
	head := get(t, http.MethodHead, "/")
	if head.Header.Get("Content-Length") != plain.Header.Get("Content-Length") || body(t, head) != "" {
		t.Errorf("HEAD: %v", head.Header)
	}
	for accept, want := range map[string]bool{"gzip": true, "GZIP": true, "*": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "": false, "gzip;q=x": false, "br;q=1, gzip;q=0.1": true} {
		if takesGzip([]string{accept}) != want {
			t.Errorf("Accept-Encoding: %s: %v, want %v", accept, !want, want)
		}
	}
}

// TestPolicy wants a page that the policy lets work: nothing inline, nothing from
// elsewhere.
func TestPolicy(t *testing.T) {
	for _, path := range []string{"/", assets(t)[0], "/nothing"} {
		if got := get(t, http.MethodGet, path).Header.Get("Content-Security-Policy"); got != Policy || !strings.HasPrefix(got, "default-src 'self';") || strings.Contains(got, "unsafe") {
			t.Errorf("%s: %s", path, got)
		}
	}
	page := body(t, get(t, http.MethodGet, "/"))
	for _, tag := range regexp.MustCompile(`<(script|style)[^>]*>[^<]`).FindAllString(page, -1) {
		t.Errorf("inline: %s", tag)
	}
	for _, attribute := range regexp.MustCompile(` (style|on[a-z]+)=`).FindAllString(page, -1) {
		t.Errorf("inline:%s", attribute)
	}
	for _, link := range regexp.MustCompile(`(src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(link[2], "/") || strings.HasPrefix(link[2], "//") {
			t.Errorf("from elsewhere: %s", link[2])
		}
	}
}

// TestDistIsCurrent compares the digest of the sources with the one that was built; the
// same rule is in ui/build.mjs.
func TestDistIsCurrent(t *testing.T) {
	names := []string{"build.mjs", "package.json", "package-lock.json", "tsconfig.json"}
	err := fs.WalkDir(os.DirFS("ui"), "src", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	all := sha256.New()
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join("ui", name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		_, _ = all.Write([]byte(name + "\x00" + hex.EncodeToString(sum[:]) + "\n")) // a hash takes everything
	}
	built, err := dist.ReadFile("dist/sources.sha256")
	if err != nil || hex.EncodeToString(all.Sum(nil)) != string(bytes.TrimSpace(built)) {
		t.Errorf("dist was built from other sources (%v): run make console", err)
	}
}

// TestScreensOfTheRouter wants an address for each screen of ui/src/screens/index.ts.
func TestScreensOfTheRouter(t *testing.T) {
	index, err := os.ReadFile("ui/src/screens/index.ts")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`path: '([a-z]+)'`).FindAllSubmatch(index, -1)
	if len(found) == 0 {
		t.Fatal("no screen in ui/src/screens/index.ts")
	}
	for _, m := range found {
		if !isScreen("/" + string(m[1])) {
			t.Errorf("/%s is a screen of the page and answers 404", m[1])
		}
	}
}
