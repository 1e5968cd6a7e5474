package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pulse is how often the database hears how far we are, at least. It gives up on
// who is silent for wal_sender_timeout, a minute by default.
const pulse = 10 * time.Second

// capture reads what the database sends: transactions in the order of their
// commits, each with its changes.
type capture struct {
	db     *pgconn.PgConn
	to     *publisher
	tables map[uint32]*table
	begun  *pglogrepl.BeginMessage // the transaction that is being read; nil between two
	change int                     // its newest
	done   pglogrepl.LSN           // all before is published, or was not for us
	told   time.Time
}

func (c *capture) run(ctx context.Context) error {
	c.tables = map[uint32]*table{}
	for {
		if err := c.next(ctx); err != nil {
			return errors.Join(err, c.tell(ctx, true)) // the database may be gone
		}
		if err := c.tell(ctx, false); err != nil {
			return err
		}
	}
}

// next reads one message, or waits for a pulse's time.
func (c *capture) next(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, pulse)
	defer cancel()
	message, err := c.db.ReceiveMessage(bounded)
	if pgconn.Timeout(err) && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		return err
	}
	switch m := message.(type) {
	case *pgproto3.ErrorResponse:
		return pgconn.ErrorResponseToPgError(m)
	case *pgproto3.CopyData:
		return c.copied(ctx, m.Data)
	}
	return nil
}

func (c *capture) copied(ctx context.Context, data []byte) error {
	if len(data) == 0 {
		return errors.New("the database sent an empty message")
	}
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		alive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return err
		}
		if c.begun == nil { // what comes next is behind: other tables' changes need not be kept for us
			c.done = max(c.done, alive.ServerWALEnd)
		}
		if alive.ReplyRequested {
			c.told = time.Time{}
		}
	case pglogrepl.XLogDataByteID:
		log, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return err
		}
		message, err := pglogrepl.Parse(log.WALData)
		if err != nil {
			return err
		}
		return c.decoded(ctx, message)
	}
	return nil
}

// decoded takes a message of pgoutput.
func (c *capture) decoded(ctx context.Context, message pglogrepl.Message) error {
	switch m := message.(type) {
	case *pglogrepl.BeginMessage:
		c.begun, c.change = m, 0
	case *pglogrepl.CommitMessage:
		if err := c.to.flush(ctx); err != nil {
			return err
		}
		c.begun, c.done = nil, m.TransactionEndLSN
	case *pglogrepl.RelationMessage:
		c.tables[m.RelationID] = newTable(m)
	case *pglogrepl.InsertMessage:
		return c.row(ctx, m.RelationID, change{op: "insert", after: m.Tuple})
	case *pglogrepl.UpdateMessage:
		return c.row(ctx, m.RelationID, change{op: "update", before: m.OldTuple, whole: m.OldTupleType == pglogrepl.UpdateMessageTupleTypeOld, after: m.NewTuple})
	case *pglogrepl.DeleteMessage:
		return c.row(ctx, m.RelationID, change{op: "delete", before: m.OldTuple, whole: m.OldTupleType == pglogrepl.DeleteMessageTupleTypeOld})
	case *pglogrepl.TruncateMessage:
		for _, id := range m.RelationIDs {
			if err := c.row(ctx, id, change{op: "truncate"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// row publishes the change of a row, or of a whole table.
func (c *capture) row(ctx context.Context, relation uint32, ch change) error {
	t := c.tables[relation]
	if t == nil || c.begun == nil {
		return fmt.Errorf("the database sent a change of table %d outside of what it had announced", relation)
	}
	e, err := t.event(ch)
	if err != nil {
		return err
	}
	e.Time = c.begun.CommitTime
	c.change++
	return c.to.add(ctx, place{c.begun.FinalLSN, c.change}, e)
}

// tell tells the database how far we are, when it is time or when it has to be: it
// need not keep what is before.
func (c *capture) tell(ctx context.Context, now bool) error {
	if c.done == 0 || !now && time.Since(c.told) < pulse {
		return nil
	}
	c.told = time.Now()
	return pglogrepl.SendStandbyStatusUpdate(ctx, c.db, pglogrepl.StandbyStatusUpdate{WALWritePosition: c.done})
}
