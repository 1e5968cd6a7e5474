package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// Policy is the Content-Security-Policy of every answer (CSP Level 3).
const Policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// screens are the addresses that answer the page; {} stands for one segment that is
// not empty. The same list is in ui/src/router.ts.
var screens = []string{"/", "/topics", "/topics/{}", "/queues", "/queues/{}", "/groups", "/groups/{}", "/pipes", "/pipes/{}", "/limits", "/limits/{}", "/lab"}

// media are the types of what dist may hold.
var media = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is an answer, ready to send.
type file struct {
	plain, zipped []byte
	media, etag   string
	cache         string
}

type site struct {
	page   *file
	assets map[string]*file // by path: "/assets/app-….js"
}

// Handler serves the console. It answers GET and HEAD of its screens and assets, 404
// and 405 otherwise as problem documents (RFC 9457), and starts nothing.
func Handler() http.Handler {
	s := &site{assets: map[string]*file{}}
	s.page = load("dist/index.html", "no-cache")
	entries, err := fs.ReadDir(dist, "dist/assets")
	if err != nil {
		return s // without assets: a test says so
	}
	for _, e := range entries {
		s.assets["/assets/"+e.Name()] = load("dist/assets/"+e.Name(), "public, max-age=31536000, immutable")
	}
	return s
}

func load(name, cache string) *file {
	body, err := dist.ReadFile(name)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(body)
	return &file{plain: body, zipped: zip(body), media: media[path.Ext(name)], cache: cache, etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
}

func zip(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level exists
	_, _ = w.Write(body)                                  // to memory
	_ = w.Close()
	return b.Bytes()
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	f := s.assets[r.URL.Path]
	if f == nil && isScreen(r.URL.EscapedPath()) {
		f = s.page
	}
	switch {
	case f == nil:
		refuse(w, http.StatusNotFound, "not-found", "Not found", "nothing is at "+r.URL.Path, "the console is at /, the API is described at /v1/openapi.json")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed", r.Method+" is not a method of "+r.URL.Path, "use GET")
	default:
		f.serve(w, r)
	}
}

// isScreen compares segment by segment, undecoded: a topic's name has no slash.
func isScreen(at string) bool {
	if at != "/" {
		at = strings.TrimSuffix(at, "/")
	}
	for _, screen := range screens {
		before, open := strings.CutSuffix(screen, "{}")
		rest, under := strings.CutPrefix(at, before)
		if at == screen || open && under && rest != "" && !strings.Contains(rest, "/") {
			return true
		}
	}
	return false
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	body, etag := f.plain, f.etag
	if len(f.zipped) < len(f.plain) && takesGzip(r.Header.Values("Accept-Encoding")) {
		body, etag = f.zipped, f.etag+"-gz" // another representation, another strong tag (RFC 9110 §8.8.3)
		h.Set("Content-Encoding", "gzip")
	}
	etag = strconv.Quote(etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", etag)
	h.Set("Cache-Control", f.cache)
	if matches(r.Header.Values("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the browser is gone when it fails
	}
}

// takesGzip reads Accept-Encoding (RFC 9110 §12.5.3).
func takesGzip(lines []string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
			if name := strings.TrimSpace(coding); !strings.EqualFold(name, "gzip") && name != "*" {
				continue
			}
			_, q, weighted := strings.Cut(strings.ReplaceAll(weight, " ", ""), "=")
			v, err := strconv.ParseFloat(q, 64)
			return !weighted || err == nil && v > 0
		}
	}
	return false
}

// matches compares weakly, as If-None-Match does (RFC 9110 §13.1.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status int, code, title, detail, fix string) {
	body, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Fix    string `json:"fix"`
	}{"urn:parley:error:" + code, title, status, detail, fix}) // strings and a number
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone when it fails
}
