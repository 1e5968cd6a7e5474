package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A gRPC call by its bytes (gRPC over HTTP/2): the empty request of the health
// service, and its answer SERVING.
func TestGRPC(t *testing.T) {
	files, pool := certificate(t)
	for _, encrypt := range []bool{false, true} {
		r := start(t, func(c *Config, _ *Options) {
			c.GRPC = "127.0.0.1:0"
			if encrypt {
				c.TLS = files
			}
		})
		var speak http.Protocols
		speak.SetUnencryptedHTTP2(!encrypt)
		speak.SetHTTP2(encrypt)
		client := &http.Client{Transport: &http.Transport{Protocols: &speak, TLSClientConfig: &tls.Config{RootCAs: pool}}}
		r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		scheme := map[bool]string{false: "http://", true: "https://"}[encrypt]
		post := func(method string) (*http.Response, string) {
			res, err := client.Post(scheme+r.at.GRPC+method, "application/grpc", strings.NewReader("\x00\x00\x00\x00\x00"))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return res, string(body)
		}
		if res, body := post("/grpc.health.v1.Health/Check"); body != "\x00\x00\x00\x00\x02\x08\x01" || res.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("encrypted %v: gives %q, %v", encrypt, body, res.Trailer)
		}
		if res, _ := post("/parley.v1.Topics/ListTopics"); res.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("encrypted %v: ListTopics gives %v %v", encrypt, res.Header, res.Trailer)
		}
		if text := r.want(200, "GET", "/metrics", ""); !strings.Contains(text, `parley_grpc_calls_total{code="OK",route=`) {
			t.Error("calls are not counted")
		}
		client.CloseIdleConnections()
		r.end()
		if _, err := client.Post(scheme+r.at.GRPC+"/", "application/grpc", nil); err == nil {
			t.Error("the door is open after the end")
		}
	}
}
