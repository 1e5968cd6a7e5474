package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// pipeExample is a file of examples/pipe.
func pipeExample(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(rig.Root(t), "examples", "pipe", filepath.FromSlash(name))
}

// TestBuildPipe wants every file below examples/pipe to be one that is run here, and
// the tests of each pipe to pass.
func TestBuildPipe(t *testing.T) {
	files, err := filepath.Glob(pipeExample(t, "*/*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
		names = append(names, name)
		if filepath.Ext(name) == ".yaml" && name != "etl/postgres.yaml" { // which has a program
			rig.Run(t, rig.Binary(t), "pipe", "test", file)
		}
	}
	want := []string{
		"etl/api.yaml", "etl/files.yaml", "etl/orders.ndjson", "etl/postgres.yaml", "leaderboard/leaderboard.yaml", "leaderboard/webhooks.ndjson",
		"media/grey.sh", "words/words.sh", "words/words.txt", "words/words.yaml",
	}
	if !slices.Equal(names, want) {
		t.Errorf("there are %v, and those that are run are %v", names, want)
	}
}

// runPipe runs a pipe in a folder, and gives what it wrote to standard output.
func runPipe(t *testing.T, s *rig.Server, dir, file string, stdin io.Reader, env ...string) string {
	t.Helper()
	cmd := exec.Command(rig.Binary(t), "pipe", "run", file)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, stdin, append(os.Environ(), env...)
	if s != nil {
		cmd.Env = append(cmd.Env, "PARLEY_URL="+s.URL)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", file, err, out, &errs)
	}
	return string(out)
}

// topic is the data of a topic's events, a line each.
func topic(t *testing.T, s *rig.Server, name string) string {
	t.Helper()
	return parley(t, s, "pipe", "topic "+name+" --until end | stdout")
}

func TestFromFiles(t *testing.T) {
	s := rig.Serve(t)
	runPipe(t, s, pipeExample(t, "etl"), "files.yaml", nil)
	const want = `{"id":1,"quantity":3,"sku":"TEA-1","total":13.05}
{"id":2,"quantity":1,"sku":"CUP-7","total":12}
{"id":4,"quantity":2,"sku":"POT-1","total":63.8}
{"id":5,"quantity":10,"sku":"TEA-1","total":42}
`
	if got := topic(t, s, "orders"); got != want {
		t.Errorf("loaded were %s", got)
	}
	if got := topic(t, s, "orders.bad"); got != "{\"id\":3,\"sku\":\"tea-2\",\"quantity\":0,\"price\":\"5.10\"}\nthis line is no order\n" {
		t.Errorf("left were %s", got)
	}
	runPipe(t, s, pipeExample(t, "etl"), "files.yaml", nil)
	nothingNew(t, want, topic(t, s, "orders"))
}

// nothingNew wants after to have the lines of before, first and in their order, and
// then none that is not among them: a pipe is run again at least once, and with the
// same results.
func nothingNew(t *testing.T, before, after string) {
	t.Helper()
	more, ok := strings.CutPrefix(after, before)
	if !ok {
		t.Errorf("what was loaded first is %.200s", after)
	}
	known := map[string]bool{}
	for line := range strings.Lines(before) {
		known[line] = true
	}
	for line := range strings.Lines(more) {
		if !known[line] {
			t.Errorf("loaded again, and not as before: %s", line)
		}
	}
}

// TestFromAPI polls an API that answers the same again and again, and then something
// new beside what it had.
func TestFromAPI(t *testing.T) {
	s := rig.Serve(t)
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const first = `{"currency":"USD","rate":1.08,"at":"2026-01-01","bid":1.07}`
		switch n := asked.Add(1); {
		case n == 2:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case n < 5:
			_, _ = io.WriteString(w, `{"rates":[`+first+`]}`)
		default:
			_, _ = io.WriteString(w, `{"rates":[`+first+`,{"currency":"USD","rate":1.09,"at":"2026-01-02"}]}`)
		}
	}))
	defer api.Close()
	text, err := os.ReadFile(pipeExample(t, "etl/api.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "api.yaml")
	text = bytes.Replace(bytes.Replace(text, []byte("http://127.0.0.1:8080"), []byte(api.URL), 1), []byte("every: 10s"), []byte("every: 10ms"), 1)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_URL", s.URL)
	pipe := runs(t, rig.Binary(t), "pipe", "run", file)
	parley(t, s, "topic", "create", "rates")
	rig.Eventually(t, "both rates", func() bool { return strings.Count(topic(t, s, "rates"), "\n") == 2 && asked.Load() > 8 })
	pipe.quits(t)
	if got := topic(t, s, "rates"); got != "{\"at\":\"2026-01-01\",\"currency\":\"USD\",\"rate\":1.08}\n{\"at\":\"2026-01-02\",\"currency\":\"USD\",\"rate\":1.09}\n" {
		t.Errorf("loaded were %s", got)
	}
}

// TestWords holds both ways of counting against a third.
func TestWords(t *testing.T) {
	text, err := os.ReadFile(pipeExample(t, "words/words.txt"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, word := range regexp.MustCompile(`[a-z]+('[a-z]+)*`).FindAllString(strings.ToLower(string(text)), -1) {
		counts[word]++
	}
	var words []string
	for word := range counts {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var events, lines strings.Builder
	for _, word := range words[:10] {
		fmt.Fprintf(&events, "{\"count\":%d,\"word\":%q}\n", counts[word], word)
		fmt.Fprintf(&lines, "%7d %s\n", counts[word], word)
	}
	if got := runPipe(t, nil, t.TempDir(), pipeExample(t, "words/words.yaml"), bytes.NewReader(text)); got != events.String() {
		t.Errorf("there are %s, want %s", got, &events)
	}
	onPath(t)
	if got := rig.Run(t, pipeExample(t, "words/words.sh"), pipeExample(t, "words/words.txt")); got != lines.String() {
		t.Errorf("there are %s, want %s", got, &lines)
	}
}

// onPath has scripts find the program by its name.
func onPath(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(rig.Binary(t), filepath.Join(bin, "parley")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// hook is a webhook of GitHub.
type hook struct {
	Event   string
	Payload struct {
		Action     string
		Sender     struct{ Login string }
		Commits    []struct{}
		HeadCommit *struct{ Timestamp time.Time } `json:"head_commit"`
		Comment    *struct {
			UpdatedAt time.Time `json:"updated_at"`
		} `json:"comment"`
		PullRequest *struct {
			Merged    bool
			UpdatedAt time.Time `json:"updated_at"`
		} `json:"pull_request"`
		Issue *struct {
			UpdatedAt time.Time `json:"updated_at"`
		} `json:"issue"`
	}
}

// worth gives an event's time and points; 0 is nothing.
func (h hook) worth() (at time.Time, points int) {
	p := h.Payload
	made := p.Action == "opened" || p.Action == "created"
	switch {
	case h.Event == "push" && p.HeadCommit != nil:
		return p.HeadCommit.Timestamp, len(p.Commits)
	case h.Event == "pull_request" && p.PullRequest.Merged:
		return p.PullRequest.UpdatedAt, 10
	case h.Event == "pull_request" && made:
		return p.PullRequest.UpdatedAt, 3
	case h.Event == "issues" && made:
		return p.Issue.UpdatedAt, 3
	case h.Event == "issue_comment" && made:
		return p.Comment.UpdatedAt, 3
	}
	return at, 0
}

// week is one of the windows, which are counted from 1970.
const week = 7 * 24 * time.Hour

// ranked gives what the leaderboard should be, line by line, and how many events come
// too late for it.
func ranked(t *testing.T, webhooks []byte) (lines string, late int) {
	t.Helper()
	points := map[time.Time]map[string]int{}
	var clock time.Time
	for line := range bytes.Lines(webhooks) {
		var h hook
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatal(err)
		}
		at, n := h.worth()
		if n == 0 {
			continue
		}
		start := time.Unix(at.Unix()-at.Unix()%int64(week/time.Second), 0).UTC()
		if mark := clock.Add(-48 * time.Hour); !start.Add(week).After(mark) {
			late++
			continue
		}
		if at.After(clock) {
			clock = at
		}
		if points[start] == nil {
			points[start] = map[string]int{}
		}
		points[start][h.Payload.Sender.Login] += n
	}
	var weeks []time.Time
	for start := range points {
		weeks = append(weeks, start)
	}
	slices.SortFunc(weeks, time.Time.Compare)
	for _, start := range weeks {
		lines += board(start, points[start])
	}
	return lines, late
}

func board(start time.Time, points map[string]int) string {
	type leader struct {
		Points int    `json:"points"`
		Who    string `json:"who"`
	}
	var all []leader
	for who, n := range points {
		all = append(all, leader{n, who})
	}
	slices.SortFunc(all, func(a, b leader) int {
		if a.Points != b.Points {
			return b.Points - a.Points
		}
		return strings.Compare(a.Who, b.Who)
	})
	text, _ := json.Marshal(all[:min(3, len(all))]) // numbers and text
	return fmt.Sprintf("{\"leaders\":%s,\"week\":%q}\n", text, start.Format(time.DateOnly))
}

// TestLeaderboard holds the leaderboard against one that is counted here: of the
// webhooks of the example, and of real ones where there are some.
func TestLeaderboard(t *testing.T) {
	own, err := os.ReadFile(pipeExample(t, "leaderboard/webhooks.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string][]byte{"generated": own}
	if text, err := os.ReadFile(filepath.Join(rig.Root(t), "..", "shared", "data", "github-events.jsonl")); err == nil {
		sets["real"] = text
	}
	for name, webhooks := range sets {
		want, late := ranked(t, webhooks)
		dir := t.TempDir()
		got := runPipe(t, nil, dir, pipeExample(t, "leaderboard/leaderboard.yaml"), bytes.NewReader(webhooks))
		if got != want {
			t.Errorf("%s: the leaders are\n%swant\n%s", name, got, want)
		}
		for file, n := range map[string]int{"late.ndjson": late, "failed.ndjson": 0} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || bytes.Count(text, []byte("\n")) != n {
				t.Errorf("%s: %s has %s (%v), want %d", name, file, text, err, n)
			}
		}
		if name == "generated" && (late == 0 || strings.Count(want, "\n") < 3) {
			t.Errorf("%d are late, and there are %s: that shows little", late, want)
		}
	}
}

// TestGrey makes a grey video, and fails with what ffmpeg says of a file that is none.
func TestGrey(t *testing.T) {
	ffmpeg, dir := rig.Program(t, "ffmpeg"), t.TempDir()
	clip, broken, grey := filepath.Join(dir, "clip.mkv"), filepath.Join(dir, "broken.mkv"), filepath.Join(dir, "grey.webm")
	rig.Run(t, ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=320x240:rate=10", "-c:v", "mpeg4", clip)
	if err := os.WriteFile(broken, []byte("not a video"), 0o600); err != nil {
		t.Fatal(err)
	}
	onPath(t)
	if err := os.WriteFile(grey, []byte(rig.Run(t, pipeExample(t, "media/grey.sh"), clip)), 0o600); err != nil {
		t.Fatal(err)
	}
	probe := rig.Run(t, rig.Program(t, "ffprobe"), "-loglevel", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=codec_name,width,height,nb_read_frames", "-of", "csv=p=0", grey)
	if strings.TrimSpace(probe) != "vp8,160,120,10" {
		t.Errorf("the video is %q", probe)
	}
	colours := rig.Run(t, ffmpeg, "-loglevel", "error", "-i", grey, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	const luma, chroma = 160 * 120, 160 * 120 / 2
	for i, c := range []byte(colours[luma : luma+chroma]) {
		if c < 126 || c > 130 {
			t.Fatalf("the first picture has the colour %d at %d", c, i)
		}
	}
	out, err := exec.Command(pipeExample(t, "media/grey.sh"), broken).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "stage exec: ffmpeg: exit code") || !strings.Contains(string(out), "Invalid data found") {
		t.Errorf("%v: %s", err, out)
	}
}
