package httpapi

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// grpcCodes reads the gRPC column from the table of that door, which this one may
// not import: lines such as "parley.Invalid: codes.InvalidArgument,".
func grpcCodes(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("../grpcapi/code.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`parley\.(\w+):\s+codes\.(\w+)`).FindAllStringSubmatch(string(source), -1) {
		found[m[1]] = m[2]
	}
	return found
}

// goNames are the names of the codes in Go, in the order of parley.Codes.
func goNames(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../../error.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(source), "const (\n")
	if !ok {
		t.Fatal("error.go has no list of codes")
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z]\w+)`).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	return names[:len(parley.Codes())]
}

const errorsHead = `# Errors

<!-- Made from parley.Codes and the doors' tables; see go test ./wire/httpapi -update. -->

Every failure is told by one of these codes. Over HTTP it is a problem document (RFC 9457,
` + "`application/problem+json`" + `) whose ` + "`type`" + ` is ` + "`urn:parley:error:`" + ` and the code; over gRPC the
reason of the status's ` + "`google.rpc.ErrorInfo`" + ` is the code in capitals (` + "`KEY_REUSED`" + `). In Go, ` + "`parley.CodeOf(err)`" + ` gives it. The
codes never change their meaning.

| member | what it says |
|---|---|
| ` + "`type`" + `, ` + "`title`" + `, ` + "`status`" + ` | the code, in words, and the HTTP status |
| ` + "`detail`" + ` | what happened, for people |
| ` + "`field`" + ` | the input at fault as its sender writes it: ` + "`after`, `Parley-Key`, `topics[1].events[0].time`, `line 3`" + ` |
| ` + "`fix`" + ` | what to do about it |
| ` + "`earliest`" + ` | with ` + "`trimmed`" + `: the cursor to go on from |
| ` + "`pointer`, `keyword`" + ` | of data that breaks a schema: where in it (a JSON Pointer as a URI fragment, ` + "`#/items/0/price`" + `), and which keyword |
| ` + "`trace`" + ` | with a status from 500 on: the trace id, under which the server's log has the cause |

429 and 503 come with ` + "`Retry-After`" + ` in whole seconds, 401 and 403 with ` + "`WWW-Authenticate`" + ` (RFC 6750),
405 with ` + "`Allow`" + `. A few statuses follow a standard instead of the code: 422 for a reused
` + "`Idempotency-Key`" + ` (a reused event id is 409), 408 for a body that did not arrive in time, 426 for a
request to a WebSocket address that is no handshake.

| code | HTTP | gRPC | meaning |
|---|---|---|---|
`

func TestErrorsPageIsCurrent(t *testing.T) {
	grpc, names := grpcCodes(t), goNames(t)
	page := errorsHead
	for i, info := range parley.Codes() {
		code := grpc[names[i]]
		if code == "" {
			t.Errorf("%s has no gRPC code", names[i])
		}
		page += fmt.Sprintf("| `%s` | %d | %s | **%s.** %s |\n", info.Name, door.Status(info.Code), code, info.Title, info.Meaning)
	}
	golden(t, "../../docs/errors.md", page)
}
