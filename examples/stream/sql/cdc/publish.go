package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pglogrepl"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// The extensions of an event that say which change it is.
const (
	lsnAttribute    = "lsn"    // of the commit
	changeAttribute = "change" // its number in the transaction, from 1
)

// A request has so much at most; a transaction with more takes several.
const (
	mostEvents = 500
	mostBytes  = 1 << 20
)

// publisher publishes changes to a topic, and passes over those that are there.
type publisher struct {
	client        *client.Client
	topic, source string
	last          place // of the newest change that the topic has
	waiting       []parley.Event
	first, newest place // of those that wait
	bytes         int
}

// resume finds out what the topic has.
func (p *publisher) resume(ctx context.Context) error {
	page, err := p.client.Poll(ctx, p.topic, client.Poll{Tail: 1})
	if err != nil || len(page.Events) == 0 {
		return err
	}
	e := page.Events[0]
	if e.Source != p.source {
		return fmt.Errorf("the topic %s has events of %s, and its places mean nothing for %s: take another topic", p.topic, e.Source, p.source)
	}
	if p.last.commit, err = pglogrepl.ParseLSN(e.Extensions[lsnAttribute]); err != nil {
		return err
	}
	p.last.change, err = strconv.Atoi(e.Extensions[changeAttribute])
	return err
}

// add takes the change at a place. It waits until a request is full, or for flush.
func (p *publisher) add(ctx context.Context, at place, e parley.Event) error {
	if !at.after(p.last) {
		return nil // from before a crash
	}
	e.ID, e.Source = at.String(), p.source
	e.Set(lsnAttribute, at.commit.String())
	e.Set(changeAttribute, strconv.Itoa(at.change))
	if len(p.waiting) == mostEvents || p.bytes+len(e.Data) > mostBytes {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	if len(p.waiting) == 0 {
		p.first = at
	}
	p.waiting, p.newest, p.bytes = append(p.waiting, e), at, p.bytes+len(e.Data)
	return nil
}

// flush publishes what waits; it is durable then. The key is for what resume cannot
// see: a request of one that has died and that is still on its way.
func (p *publisher) flush(ctx context.Context) error {
	if len(p.waiting) == 0 {
		return nil
	}
	if _, _, err := p.client.PublishOnce(ctx, p.source+"#"+p.first.String(), p.topic, p.waiting...); err != nil {
		return err
	}
	p.last, p.waiting, p.bytes = p.newest, p.waiting[:0], 0
	return nil
}
