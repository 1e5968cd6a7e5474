// Package console is the web console: static files, embedded, over the public API.
//
// What the browser gets is built from console/ui by `make console` and committed in
// dist, so that `go install` needs nothing but Go. Assets have a hash of their
// content in their name and are cached for ever; the page itself is checked at each
// visit. A page is answered for the addresses of known screens only: an asset that is
// missing is a 404, never a page that a script tag would choke on.
//
// Everything comes from the server itself, which the Content-Security-Policy holds
// the browser to: no outside request, no inline script, no inline style.
package console
