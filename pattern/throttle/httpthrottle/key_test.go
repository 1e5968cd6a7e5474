package httpthrottle

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	trusted, err := ParseTrusted("10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48")
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat("10.0.0.9, ", 5000) + "10.0.0.9"
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.7:1234", nil, "203.0.113.7"},
		{"a stranger's header means nothing", "203.0.113.7:1", []string{"198.51.100.1"}, "203.0.113.7"},
		{"behind one proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the client invented stands further left", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"in a line of its own", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"pretending to be a proxy", "10.0.0.1:1", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1, 192.0.2.1"}, "198.51.100.1"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.2"}, "10.0.0.2"},
		{"rubbish", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"empty", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.1:99"}, "198.51.100.1"},
		{"endless", "10.0.0.1:1", []string{many}, "10.0.0.9"},
		{"IPv6 by its network", "[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64"},
		{"with a zone", "[fe80::1%eth0]:1", nil, "fe80::/64"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.7]:1", nil, "203.0.113.7"},
		{"IPv6 behind a proxy", "[2001:db8:ffff::1]:1", []string{"[2001:db8:1:2::9]:5"}, "2001:db8:1:2::/64"},
		{"no address", "@", []string{"198.51.100.1"}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := IP(trusted...)(r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := ParseTrusted("10.0.0.0/40"); err == nil {
		t.Error("a network of 40 bits was taken")
	}
}

func TestKeys(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/a/b?page=2", nil)
	r.RemoteAddr = "203.0.113.7:1"
	r.Header.Set("Authorization", "Bearer  secret")
	r.Header.Set("X-Tenant", "acme")
	for text, want := range map[string]string{
		"ip": "203.0.113.7", "token": "secret", "path": "/a/b", "method": "POST", "everyone": "",
		"header:X-Tenant": "acme", "header:None": "", "query:page": "2", "method+path": "4:POST4:/a/b",
	} {
		k, err := ParseKey(text)
		if err != nil {
			t.Error(err)
		} else if got := k(r); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "ip+", "header", "header:", "cookie:a", "ip:4"} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzClientAddr(f *testing.F) {
	f.Add("10.0.0.1:1", "1.1.1.1, 198.51.100.1")
	f.Add("[fe80::1%x]:1", ",,[::1]:5,")
	trusted, _ := ParseTrusted("0.0.0.0/0", "::/1")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		if got := ClientAddr(r); got != ClientAddr(&http.Request{RemoteAddr: peer}) {
			t.Fatalf("nobody is trusted, and the header %q gave %v", forwarded, got)
		}
		ClientAddr(r, trusted...)
	})
}
