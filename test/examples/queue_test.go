package examples

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// TestBuildQueue wants every program below examples/queue to be one that is run
// here.
func TestBuildQueue(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(rig.Root(t), "examples", "queue", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	if want := []string{"crawler", "email", "order", "report", "transcode"}; !slices.Equal(dirs, want) {
		t.Errorf("there are %v, and those that are run are %v", dirs, want)
	}
}

// parley runs a command of the command line against a server, and gives what it
// printed.
func parley(t *testing.T, s *rig.Server, args ...string) string {
	t.Helper()
	cmd := exec.Command(rig.Binary(t), args...)
	cmd.Env = append(os.Environ(), "PARLEY_URL="+s.URL)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("parley %v: %v\n%s\n%s", args, err, out, &errs)
	}
	return string(out)
}

// counts are those of a queue.
func counts(t *testing.T, s *rig.Server, queue string) (c struct{ Ready, Delayed, Leased, Dead, Done int }) {
	t.Helper()
	var in struct {
		Result []struct{ Stats json.RawMessage }
	}
	if err := json.Unmarshal([]byte(parley(t, s, "queue", "stats", queue, "--json")), &in); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(in.Result[0].Stats, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// quits ends a program as Ctrl-C does, and wants it to end well.
func (c *client) quits(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGINT) // Wait tells
	c.ends(t)
}

// TestTranscode uploads a video, and finds it transcoded and with a thumbnail; a
// file that is none is dead, with what ffmpeg said.
func TestTranscode(t *testing.T) {
	ffmpeg := rig.Program(t, "ffmpeg")
	s := rig.Serve(t)
	dir := t.TempDir()
	video, broken := filepath.Join(dir, "holiday.mp4"), filepath.Join(dir, "broken.mp4")
	rig.Run(t, ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=320x240:rate=10", "-c:v", "mpeg4", video)
	if err := os.WriteFile(broken, []byte("not a video"), 0o600); err != nil {
		t.Fatal(err)
	}
	example := filepath.Join(rig.Root(t), "examples", "queue", "transcode")
	bin := t.TempDir()
	if err := os.Symlink(rig.Binary(t), filepath.Join(bin, "parley")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("PARLEY_URL", s.URL)
	for _, queue := range []string{"transcode", "thumbnail"} {
		parley(t, s, "queue", "set", queue, "--max-attempts", "1")
	}
	for _, file := range []string{video, broken} {
		rig.Run(t, filepath.Join(example, "upload.sh"), file)
	}
	rig.Run(t, filepath.Join(example, "upload.sh"), video) // it waits already
	parley(t, s, "queue", "push", "transcode", filepath.Join(dir, "missing.mp4"))
	for _, queue := range []string{"transcode", "thumbnail"} {
		cmd := exec.Command(filepath.Join(bin, "parley"), "queue", "work", queue, "--drain", "--timeout", "1m", "--dead-on", "65", "--exec", filepath.Join(example, queue+".sh"))
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 { // one of them was broken
			t.Fatalf("%v: %s", err, out)
		}
		if c := counts(t, s, queue); c.Done != 1 || c.Dead == 0 || c.Ready+c.Delayed+c.Leased != 0 {
			t.Errorf("%s: %+v", queue, c)
		}
	}
	if got := rig.Run(t, rig.Program(t, "ffprobe"), "-loglevel", "error", "-select_streams", "v", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0", video+".webm"); strings.TrimSpace(got) != "vp8,320" {
		t.Errorf("the video is %q", got)
	}
	if got := rig.Run(t, rig.Program(t, "ffprobe"), "-loglevel", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", video+".jpg"); strings.TrimSpace(got) != "mjpeg,160,120" {
		t.Errorf("the thumbnail is %q", got)
	}
	dead := parley(t, s, "queue", "dead", "transcode", "--json")
	if !strings.Contains(dead, "exit code 65: no such file: ") || !strings.Contains(dead, "Invalid data found") {
		t.Errorf("the dead are %s", dead)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestEmail sends a hundred of a hundred and five at once; one that no mailbox
// takes is dead, and one whose job is there twice is sent once.
func TestEmail(t *testing.T) {
	s := rig.Serve(t)
	post := startPost(t)
	client := runs(t, rig.Build(t, "./examples/queue/email"), "-server", s.URL, "-smtp", post.address)
	client.prints(t, "sending")
	var lines strings.Builder
	fmt.Fprintf(&lines, `{"specversion":"1.0","id":"twice","source":"/x","type":"mail","data":{"to":"ann@parley.example","subject":"Hello","text":"Hi"}}`+"\n")
	fmt.Fprintf(&lines, `{"specversion":"1.0","id":"twice","source":"/x","type":"mail","data":{"to":"ann@parley.example","subject":"Hello","text":"Hi"}}`+"\n")
	fmt.Fprintf(&lines, `{"specversion":"1.0","id":"nobody","source":"/x","type":"mail","data":{"to":"nobody@parley.example","subject":"a\r\nBcc: all@parley.example","text":"Hi"}}`+"\n")
	for i := range 102 {
		fmt.Fprintf(&lines, `{"specversion":"1.0","id":"m%d","source":"/x","type":"mail","data":{"to":"ann@parley.example","subject":"%d","text":"Hi"}}`+"\n", i, i)
	}
	cmd := exec.Command(rig.Binary(t), "queue", "push", "emails", "--cloudevents", "--server", s.URL)
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rig.Eventually(t, "a hundred jobs", func() bool {
		c := counts(t, s, "emails")
		return c.Done+c.Dead+c.Delayed == 100 && c.Leased == 0
	})
	if c := counts(t, s, "emails"); c.Ready != 5 || c.Dead != 1 {
		t.Errorf("the queue has %+v", c)
	}
	client.quits(t)
	post.mu.Lock()
	defer post.mu.Unlock()
	if len(post.messages) != 98 {
		t.Errorf("%d e-mails were sent", len(post.messages))
	}
	n := 0
	for _, m := range post.messages {
		if strings.Contains(m, "Message-ID: <twice@parley.example>") {
			n++
		}
		if strings.Contains(m, "\nBcc:") {
			t.Errorf("a header was smuggled in: %q", m)
		}
	}
	if n != 1 {
		t.Errorf("sent %d times: twice", n)
	}
}

// post is a mail server that has every mailbox but nobody's.
type post struct {
	address  string
	mu       sync.Mutex
	messages []string
}

func startPost(t *testing.T) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{address: l.Addr().String()}
	var guests sync.WaitGroup
	guests.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			guests.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // that ends it
		guests.Wait()
	})
	return p
}

// serve speaks as much of SMTP (RFC 5321) as a client needs.
func (p *post) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // a test is over by then
	in := bufio.NewReader(c)
	fmt.Fprint(c, "220 post\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case verb == "EHLO":
			fmt.Fprint(c, "250 post\r\n")
		case verb == "RCPT" && strings.Contains(line, "nobody@"):
			fmt.Fprint(c, "550 no such mailbox\r\n")
		case verb == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var text strings.Builder
			for line, err := in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
				text.WriteString(line)
			}
			p.mu.Lock()
			p.messages = append(p.messages, text.String())
			p.mu.Unlock()
			fmt.Fprint(c, "250 thanks\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
}

// TestOrder: an order becomes three jobs, also when it is placed again under its
// id before it was worked off.
func TestOrder(t *testing.T) {
	s := rig.Serve(t)
	parley(t, s, "queue", "push", "orders", `{"order":"1001","item":"tea","cents":450}`)
	parley(t, s, "queue", "push", "orders", `{"item":"nothing"}`)
	client := runs(t, rig.Build(t, "./examples/queue/order"), "-server", s.URL)
	want := []string{"order 1001: invoiced 4.50", "order 1001: packed tea", "order 1001: told the customer"}
	var got []string
	for len(got) < len(want) && client.lines.Scan() {
		got = append(got, client.lines.Text())
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("it printed %q", got)
	}
	rig.Eventually(t, "one dead order", func() bool { return counts(t, s, "orders").Dead == 1 })
	client.quits(t)
	for _, queue := range []string{"fulfilment", "invoice", "confirmation"} {
		if c := counts(t, s, queue); c.Done != 1 || c.Ready+c.Leased+c.Delayed+c.Dead != 0 {
			t.Errorf("%s: %+v", queue, c)
		}
	}
}

// TestReport: three ask for a report, which is made once; a month that is none has
// no report.
func TestReport(t *testing.T) {
	s := rig.Serve(t)
	s.Publish("sales", "application/json", `{"month":"2026-11","item":"tea","cents":450}`, `{"month":"2026-10","item":"tea","cents":1}`, `{"month":"2026-11","item":"tea","cents":50}`, `{"month":"2026-11","item":"a, b","cents":7}`)
	report := rig.Build(t, "./examples/queue/report")
	got := make(chan string, 3)
	for range cap(got) {
		go func() {
			out, _ := exec.Command(report, "-server", s.URL, "get", "2026-11").Output() // what there is of it
			got <- string(out)
		}()
	}
	rig.Eventually(t, "the three that ask", func() bool { return s.Metric("parley_live_connections") == "3" })
	office := runs(t, report, "-server", s.URL, "work")
	for range cap(got) {
		if text := <-got; text != "item,cents\n\"a, b\",7\ntea,500\n" {
			t.Errorf("the report is %q", text)
		}
	}
	if c := counts(t, s, "reports"); c.Done != 1 {
		t.Errorf("it was made %d times", c.Done)
	}
	out, err := exec.Command(report, "-server", s.URL, "get", "soon").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there will be no report: parsing time") {
		t.Errorf("%v: %s", err, out)
	}
	office.quits(t)
}

// TestCrawler reads a site whose pages name one another: each once, one at a time,
// and no faster than the limit.
func TestCrawler(t *testing.T) {
	var mu sync.Mutex
	read, inside, most := map[string]int{}, 0, 0
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		read[r.URL.Path]++
		n := read[r.URL.Path]
		inside++
		most = max(most, inside)
		mu.Unlock()
		switch {
		case r.URL.Path == "/busy" && n == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/missing":
			http.NotFound(w, r)
		default:
			_, _ = io.WriteString(w, `<a href="/">home</a> <a href="a">a</a> <a href="/b#part">b</a> <a href="/busy">x</a> <a href="/missing">y</a> <a href="http://elsewhere.invalid/">z</a>`)
		}
		mu.Lock()
		inside--
		mu.Unlock()
	}))
	defer site.Close()
	s := rig.Serve(t)
	begun := time.Now()
	out := rig.Run(t, rig.Build(t, "./examples/queue/crawler"), "-server", s.URL, "-rate", "10/s burst=1", site.URL+"/")
	if took := time.Since(begun); took < 500*time.Millisecond { // six requests, the first at once
		t.Errorf("it took %v", took)
	}
	mu.Lock()
	defer mu.Unlock()
	want := map[string]int{"/": 1, "/a": 1, "/b": 1, "/busy": 2, "/missing": 1}
	for path, n := range want {
		if read[path] != n {
			t.Errorf("%s was read %d times", path, read[path])
		}
	}
	if len(read) != len(want) || most != 1 || strings.Count(out, " bytes\n") != 4 {
		t.Errorf("read %v, %d at once:\n%s", read, most, out)
	}
	if c := counts(t, s, "pages"); c.Dead != 1 || c.Done != 4 {
		t.Errorf("the queue has %+v", c)
	}
}
