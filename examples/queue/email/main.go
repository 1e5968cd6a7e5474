// Command email sends e-mails from a queue, at most a hundred an hour, and each of
// them once as far as its receiver can tell.
//
//	parley serve &
//	go run ./examples/queue/email -smtp 127.0.0.1:25 &
//	parley queue push emails '{"to": "ann@example.com", "subject": "Hello", "text": "Hi Ann."}'
//
// The rate is the queue's, so it holds for all workers together. A worker that dies
// after it sent and before its ack leaves the job to another: that one sends the
// same Message-ID again, which a mail server drops, and what this process has sent
// itself it does not send twice.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// message is a job's data.
type message struct{ To, Subject, Text string }

// sender is the handler.
type sender struct {
	smtp, from string

	mu   sync.Mutex
	done map[string]bool // by the event's id, the same at each attempt: false while it is sent
}

func (s *sender) handle(_ context.Context, job *queue.Lease) (queue.Result, error) {
	var m message
	if err := json.Unmarshal(job.Event.Data, &m); err != nil {
		return nil, queue.Fatal(fmt.Errorf("not a message: %w", err)) // it will not get better
	}
	to, err := mail.ParseAddress(m.To)
	if err != nil {
		return nil, queue.Fatal(err)
	}
	switch done, begun := s.begin(job.Event.ID); {
	case done:
		return nil, nil
	case begun:
		return nil, queue.RetryAfter(10*time.Second, errors.New("another job of the same id is being sent"))
	}
	err = smtp.SendMail(s.smtp, nil, s.from, []string{to.Address}, s.compose(job, to, m))
	s.end(job.Event.ID, err == nil)
	var refused *textproto.Error
	switch {
	case errors.As(err, &refused) && refused.Code >= 500:
		return nil, queue.Fatal(err) // no such mailbox
	}
	return nil, err // nil, or busy, or away: then the queue's retry policy has its turn
}

func (s *sender) compose(job *queue.Lease, to *mail.Address, m message) []byte {
	line := strings.NewReplacer("\r", " ", "\n", " ")
	return fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@parley.example>\r\n\r\n%s\r\n",
		s.from, to, line.Replace(m.Subject), job.Enqueued.Format(time.RFC1123Z), line.Replace(job.Event.ID), m.Text)
}

// begin says whether an e-mail was sent before, or is being sent; if neither, the
// caller sends it.
func (s *sender) begin(id string) (done, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done, begun = s.done[id]
	if !begun {
		s.done[id] = false
	}
	return done, begun
}

func (s *sender) end(id string, sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done[id] = sent; !sent {
		delete(s.done, id)
	}
}

func main() {
	url := flag.String("server", "http://127.0.0.1:7275", "the Parley server")
	smtpAt := flag.String("smtp", "127.0.0.1:25", "the mail server, HOST:PORT")
	rate := flag.String("rate", "100/1h", "how many e-mails may be sent, all workers together")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *smtpAt, *rate); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url, smtpAt, rate string) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	q := c.Queue("emails")
	settings, err := json.Marshal(map[string]any{"rate": rate, "max_attempts": 10})
	if err != nil {
		return err
	}
	if _, err := q.Change(ctx, settings); err != nil {
		return err
	}
	s := &sender{smtp: smtpAt, from: "shop@parley.example", done: map[string]bool{}}
	w, err := queue.NewWorker(q, s.handle, queue.WorkerOptions{Name: "mailer", Concurrency: 4, Timeout: time.Minute})
	if err != nil {
		return err
	}
	fmt.Println("sending from the queue emails to", smtpAt)
	return w.Run(ctx)
}
