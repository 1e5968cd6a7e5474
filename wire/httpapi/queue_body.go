package httpapi

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// jobsMedia is the media type of jobs that each have attributes of their own.
const jobsMedia = "application/vnd.parley.jobs+json"

var enqueueParams = []door.Param{
	{Name: "Idempotency-Key", In: "header", Type: "string", Description: "makes the request happen once: a repeat within two minutes answers the first ids, and the key with other jobs is refused with 422"},
	{Name: "Parley-Delay", In: "header", Type: "duration", Description: "how long the jobs rest before they are ready"},
	{Name: "Parley-At", In: "header", Type: "string", Description: "until when they rest, as an RFC 3339 time"},
	{Name: "Parley-Priority", In: "header", Type: "integer", Default: "0", Description: "0 to 9; higher goes first"},
	{Name: "Parley-Key", In: "header", Type: "string", Description: "a FIFO group: its jobs are worked one at a time, in order"},
	{Name: "Parley-Unique", In: "header", Type: "string", Description: "drops the job while another with the same value is ready, delayed or leased"},
	{Name: "Parley-Type", In: "header", Type: "string", Default: "parley.job", Description: "type of events that are plain data"},
	{Name: "Parley-Subject", In: "header", Type: "string", Description: "subject of events that are plain data"},
}

// jobBody is the body of a request of jobsMedia. Each job reads itself.
type jobBody struct {
	Jobs []json.RawMessage `json:"jobs"`
}

// jobsRead is what a request to enqueue holds.
type jobsRead struct {
	list []queue.Job
	// The events come from msg, and all attributes of jobs from the header; nil when
	// each job has its own.
	msg *message
}

// jobsOf reads jobs: those of jobsMedia, or events as a publish takes them. Their
// data aliases body.
func jobsOf(h http.Header, body []byte) (jobsRead, error) {
	if media, _, _ := mime.ParseMediaType(h.Get("Content-Type")); media == jobsMedia {
		list, err := jobEntries(h, body)
		return jobsRead{list: list}, err
	}
	m, err := eventsOf(h, body)
	if err != nil {
		return jobsRead{}, err
	}
	one, err := jobHeader(h)
	if err != nil {
		return jobsRead{}, err
	}
	if one.Unique != "" && len(m.events) > 1 {
		return jobsRead{}, parley.BadField("Parley-Unique", "is one for "+strconv.Itoa(len(m.events))+" jobs", "send "+jobsMedia+", where each job has its own")
	}
	out := jobsRead{list: make([]queue.Job, len(m.events)), msg: &m}
	for i, e := range m.events {
		out.list[i] = one
		out.list[i].Event = e
	}
	return out, nil
}

// jobHeader reads the attributes that all jobs of a request have.
func jobHeader(h http.Header) (job queue.Job, err error) {
	var text [5]string
	for i, name := range [...]string{"Parley-Delay", "Parley-At", "Parley-Priority", "Parley-Key", "Parley-Unique"} {
		var there bool
		if text[i], there, err = single(h, name); err != nil {
			return job, err
		}
		if there && text[i] == "" {
			return job, parley.BadField(name, "is empty", "send a value, or leave the header away")
		}
	}
	if job.Delay, err = spanOf("Parley-Delay", text[0]); err != nil {
		return job, err
	}
	if text[1] != "" {
		if job.At, err = time.Parse(time.RFC3339, text[1]); err != nil {
			return job, parley.BadField("Parley-At", strconv.Quote(text[1])+" is not a time", "send one like 2027-01-31T00:00:00Z")
		}
	}
	if text[2] != "" {
		if job.Priority, err = strconv.Atoi(text[2]); err != nil {
			return job, parley.BadField("Parley-Priority", strconv.Quote(text[2])+" is not a number", "send 0 to 9; higher goes first")
		}
	}
	job.Key, job.Unique = text[3], text[4]
	return job, nil
}

// jobEntries reads a body of jobsMedia.
func jobEntries(h http.Header, body []byte) ([]queue.Job, error) {
	for _, name := range [...]string{"Parley-Delay", "Parley-At", "Parley-Priority", "Parley-Key", "Parley-Unique"} {
		if h.Get(name) != "" {
			return nil, parley.BadField(name, "stands beside jobs that have attributes of their own", "send it as a member of each job")
		}
	}
	var in jobBody
	if err := decodeStrict(body, &in); err != nil {
		return nil, err
	}
	if len(in.Jobs) == 0 || len(in.Jobs) > queue.MaxEnqueue {
		return nil, parley.BadField("jobs", strconv.Itoa(len(in.Jobs))+" jobs in one request", "send 1 to "+strconv.Itoa(queue.MaxEnqueue))
	}
	list := make([]queue.Job, len(in.Jobs))
	for i, raw := range in.Jobs {
		if err := decodeStrict(raw, &strictly{&list[i]}); err != nil {
			return nil, renamed(err, func(field string) string { return inJobs(i, field) })
		}
	}
	return list, nil
}

func inJobs(i int, field string) string {
	one := "jobs[" + strconv.Itoa(i) + "]"
	if field == "" || field == "job" || field == "jobs" {
		return one
	}
	return one + "." + strings.TrimPrefix(field, "job.")
}

// jobSources are the fields of a request from which attributes of jobs come.
var jobSources = map[string]string{
	"delay": "Parley-Delay", "at": "Parley-At", "priority": "Parley-Priority", "key": "Parley-Key", "unique": "Parley-Unique",
}

// asSent names what is at fault in jobs as the request has it.
func (j *jobsRead) asSent(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	number, detail, found := strings.Cut(strings.TrimPrefix(e.Detail, "job "), ": ")
	i, bad := strconv.Atoi(number)
	if !found || bad != nil {
		return err
	}
	at := *e
	switch {
	case j.msg == nil:
		at.Field, at.Detail = inJobs(i, e.Field), detail
	case jobSources[e.Field] != "":
		at.Field, at.Detail = jobSources[e.Field], detail
	default:
		return j.msg.asSent(err)
	}
	return &at
}
