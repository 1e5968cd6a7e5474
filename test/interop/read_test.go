package interop

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"

	"github.com/coder/websocket"

	"github.com/parleyhq/parley/test/rig"
)

// readSocket reads a raw socket with coder/websocket.
func readSocket(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error) {
	conn, _, err := websocket.Dial(ctx, socketURL(s.URL, topic, after), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	var all []received
	for len(all) < count {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, received{data: string(message)})
	}
	return all, conn.Close(websocket.StatusNormalClosure, "")
}

// readFrames reads a socket of whole events with coder/websocket.
func readFrames(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error) {
	conn, _, err := websocket.Dial(ctx, socketURL(s.URL, topic, after), &websocket.DialOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	var all []received
	for len(all) < count {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		more, err := unpack(message)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, conn.Close(websocket.StatusNormalClosure, "")
}

func socketURL(base, topic, after string) string {
	return "ws" + strings.TrimPrefix(base, "http") + "/v1/topics/" + topic + "/ws?" + url.Values{"after": {after}}.Encode()
}

// readCurl reads a stream of server-sent events line by line, as curl prints it.
func readCurl(ctx context.Context, s *rig.Server, topic, after string, count int) ([]received, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, "curl", "-sSN", "-H", "Accept: text/event-stream", "-H", "Last-Event-ID: "+after, s.URL+"/v1/topics/"+topic+"/events")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		stop()
		_ = cmd.Wait() // it was killed: the stream does not end
	}()
	var all []received
	var data []string
	id, lines := "", bufio.NewReader(out)
	for len(all) < count {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("curl ended: %w", err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ":"); {
		case line == "" && data != nil:
			all = append(all, received{strings.Join(data, "\n"), id})
			data = nil
		case name == "id":
			id = strings.TrimPrefix(value, " ")
		case name == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return all, nil
}
