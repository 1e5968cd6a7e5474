package main

import (
	"encoding/json"
	"fmt"

	"github.com/jackc/pglogrepl"

	"github.com/parleyhq/parley"
)

// table is what the database has announced about one.
type table struct {
	name    string
	columns []*pglogrepl.RelationMessageColumn
}

func newTable(m *pglogrepl.RelationMessage) *table {
	return &table{m.Namespace + "." + m.RelationName, m.Columns}
}

// change is one of a row: op and what the database has sent of it.
type change struct {
	op            string
	before, after *pglogrepl.TupleData
	whole         bool // before is the row, and not only its key
}

// event makes an event of a change. Its data is a JSON object: op, table, key, and
// the row before, where the table has REPLICA IDENTITY FULL, and after it. Large
// values that an update has left as they were are not sent: unchanged names them.
// Numbers, booleans and JSON are such in the data, everything else is text as
// PostgreSQL writes it.
func (t *table) event(c change) (parley.Event, error) {
	data := parley.AppendJSONString(append([]byte(`{"op":"`+c.op), `","table":`...), t.name)
	from := c.after
	if from == nil {
		from = c.before
	}
	key, _, err := t.object(from, true)
	if err != nil {
		return parley.Event{}, err
	}
	if from != nil {
		data = append(append(data, `,"key":`...), key...)
	}
	if c.before != nil && (c.whole || c.op == "update") { // an update sends a key that it has changed
		before, _, err := t.object(c.before, !c.whole)
		if err != nil {
			return parley.Event{}, err
		}
		data = append(append(data, `,"before":`...), before...)
	}
	if c.after != nil {
		after, unchanged, err := t.object(c.after, false)
		if err != nil {
			return parley.Event{}, err
		}
		data = append(append(data, `,"after":`...), after...)
		if len(unchanged) > 0 {
			names, err := json.Marshal(unchanged)
			if err != nil {
				return parley.Event{}, err
			}
			data = append(append(data, `,"unchanged":`...), names...)
		}
	}
	return parley.Event{Type: "row." + c.op, Subject: t.name, DataContentType: "application/json", Data: append(data, '}')}, nil
}

// object makes a JSON object of a row, or of its key, and names the columns whose
// values were not sent.
func (t *table) object(row *pglogrepl.TupleData, key bool) (object []byte, unchanged []string, err error) {
	object = []byte{'{'}
	if row == nil {
		return append(object, '}'), nil, nil
	}
	if len(row.Columns) != len(t.columns) {
		return nil, nil, fmt.Errorf("a row of %s has %d columns, and the table %d", t.name, len(row.Columns), len(t.columns))
	}
	for i, column := range t.columns {
		if key && column.Flags&1 == 0 { // 1 marks the columns of the key
			continue
		}
		value := row.Columns[i]
		if value.DataType == pglogrepl.TupleDataTypeToast {
			unchanged = append(unchanged, column.Name)
			continue
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(parley.AppendJSONString(object, column.Name), ':')
		object = appendValue(object, column.DataType, value)
	}
	return append(object, '}'), unchanged, nil
}

// appendValue appends a value in JSON.
func appendValue(dst []byte, oid uint32, v *pglogrepl.TupleDataColumn) []byte {
	if v.DataType == pglogrepl.TupleDataTypeNull {
		return append(dst, "null"...)
	}
	switch oid { // of PostgreSQL's own types, which are the same everywhere
	case 16: // bool
		if string(v.Data) == "t" {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case 20, 21, 23, 26, 700, 701, 1700, 114, 3802: // int8, int2, int4, oid, float4, float8, numeric, json, jsonb
		if json.Valid(v.Data) { // NaN is not
			return append(dst, v.Data...)
		}
	}
	return parley.AppendJSONString(dst, string(v.Data))
}
