package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

func (a *app) schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Say what the events of a topic have to be, and how that may change.",
		Example: `  parley schema put orders order.json
  parley schema put orders made.json --type order.made --compatibility full
  parley schema check orders next.json
  parley schema check orders --data event.json
  parley schema diff orders 1 2
  parley schema get orders --version 1
  parley schema ls orders
  parley schema rm orders`,
		Long: `A schema is JSON Schema, draft 2020-12. An event whose data breaks it is refused,
whichever way it comes. A new version has to fit those before it, by a rule: none,
backward (the default: what was valid stays valid), forward, full, and each with
_transitive behind it, which looks at all versions.`,
	}
	c.AddCommand(a.schemaPut(), a.schemaGet(), a.schemaList(), a.schemaCheck(), a.schemaDiff(), a.schemaRemove())
	group(c)
	return c
}

// typeFlag adds the flag of which events a schema is for.
func typeFlag(c *cobra.Command) *string {
	return c.Flags().String("type", "", "the schema for events of this type; without it, for all events of the topic")
}

func compatibilityFlag(c *cobra.Command) *string {
	return c.Flags().String("compatibility", "", "the rule: none, backward, forward, full, or …_transitive; without it, the one there is")
}

// readJSON reads a file of JSON, - being standard input.
func (a *app) readJSON(name string, limit int) (json.RawMessage, error) {
	from := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, asked(&parley.Error{Code: parley.Invalid, Field: "FILE", Detail: err.Error(), Fix: "name a file that can be read, or - for standard input", Err: err})
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, int64(limit)+1))
	switch {
	case err != nil:
		return nil, &parley.Error{Code: parley.Invalid, Field: "FILE", Detail: err.Error(), Fix: "name a file that can be read", Err: err}
	case len(b) > limit:
		return nil, asked(&parley.Error{Code: parley.TooLarge, Field: "FILE", Detail: name + " has more than " + strconv.Itoa(limit) + " bytes", Fix: "send less"})
	case !json.Valid(b):
		return nil, asked(parley.BadField("FILE", name+" is not JSON", "write JSON, such as {\"type\": \"object\"}"))
	}
	return b, nil
}

func (a *app) schemaPut() *cobra.Command {
	c := &cobra.Command{
		Use: "put TOPIC FILE", Short: "Put a new version of a schema.",
		Example: `  parley schema put orders order.json
  parley schema put orders made.json --type order.made --compatibility full`,
		Long: "FILE is - for standard input. The version that is the newest already changes nothing but the rule.",
		Args: exactly("TOPIC", "FILE"),
	}
	at, kind, rule := a.remoteFlags(c), typeFlag(c), compatibilityFlag(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		text, err := a.readJSON(args[1], schema.MaxSchema)
		if err != nil {
			return answer{}, err
		}
		if _, err := schema.ParseRule(*rule); err != nil {
			return answer{}, asked(err)
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		s, err := cl.PutSchema(ctx, args[0], *kind, text, *rule)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: "version " + strconv.Itoa(s.Version) + " of the schema of " + subjectName(s) + " is in force, " + s.Compatibility, Result: s}, nil
	})
	return c
}

func subjectName(s client.Schema) string {
	if s.Type == "" {
		return s.Topic
	}
	return s.Topic + " for " + s.Type
}

func (a *app) schemaGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get TOPIC", Short: "Print a version of a schema.",
		Example: `  parley schema get orders
  parley schema get orders --version 1 > order.json`,
		Args: exactly("TOPIC"),
	}
	at, kind := a.remoteFlags(c), typeFlag(c)
	number := c.Flags().Int("version", 0, "the number of the version; without it, the newest")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if *number < 0 {
			return answer{}, usagef("write 1 or more, or leave it away", "--version %d is no version", *number)
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		s, err := cl.Schema(ctx, args[0], *kind, *number)
		if err != nil {
			return answer{}, err
		}
		return answer{Result: s, Text: func(w io.Writer) error {
			pretty, err := json.MarshalIndent(s.Schema, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s\n", pretty)
			return err
		}}, nil
	})
	return c
}

func (a *app) schemaList() *cobra.Command {
	c := &cobra.Command{
		Use: "ls TOPIC", Aliases: []string{"list"}, Short: "List the schemas of a topic, or all versions of one.",
		Example: `  parley schema ls orders
  parley schema ls orders --versions`,
		Args: exactly("TOPIC"),
	}
	at, kind := a.remoteFlags(c), typeFlag(c)
	versions := c.Flags().Bool("versions", false, "all versions of one schema")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		var list []client.Schema
		if *versions || *kind != "" {
			list, err = cl.SchemaVersions(ctx, args[0], *kind)
		} else {
			list, err = cl.Schemas(ctx, args[0])
		}
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: count(int64(len(list)), "schema"), Result: list, Partial: len(list) == 0, Text: func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
			for i, s := range list {
				if i == 0 {
					fmt.Fprintln(t, "TYPE\tVERSION\tCOMPATIBILITY\tCREATED")
				}
				kind := s.Type
				if kind == "" {
					kind = "(all)"
				}
				fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", kind, s.Version, s.Compatibility, s.Created.Local().Format(time.DateTime))
			}
			return t.Flush()
		}}, nil
	})
	return c
}

func (a *app) schemaCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check TOPIC [FILE]", Short: "Ask whether a schema could be the next version, or whether data is valid.",
		Example: `  parley schema check orders next.json
  parley schema check orders next.json --compatibility full_transitive
  parley schema check orders --data event.json`,
		Long: "FILE is a schema, - for standard input. With both, the data is held to the schema in FILE. Nothing changes. The exit code is 1 when the answer is no.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return exactly("TOPIC")(cmd, args)
		},
	}
	at, kind, rule := a.remoteFlags(c), typeFlag(c), compatibilityFlag(c)
	data := c.Flags().String("data", "", "a file of data to check, - for standard input")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		check := client.SchemaCheck{Compatibility: *rule}
		var err error
		if len(args) == 2 {
			if check.Schema, err = a.readJSON(args[1], schema.MaxSchema); err != nil {
				return answer{}, err
			}
		}
		if *data != "" {
			if check.Data, err = a.readJSON(*data, 8<<20); err != nil {
				return answer{}, err
			}
		}
		if check.Schema == nil && check.Data == nil {
			return answer{}, usagef("name a FILE with a schema, or --data FILE", "there is nothing to check")
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		got, err := cl.CheckSchema(ctx, args[0], *kind, check)
		if err != nil {
			return answer{}, err
		}
		return verdict(got)
	})
	return c
}

// verdict makes an error of a no, with all reasons beside it.
func verdict(got client.SchemaAnswer) (answer, error) {
	var said []string
	if got.Compatible != nil && *got.Compatible {
		said = append(said, "the schema fits")
	}
	if got.Valid != nil && *got.Valid {
		said = append(said, "the data is valid")
	}
	ans := answer{Summary: strings.Join(said, ", "), Result: got}
	switch {
	case len(got.Conflicts) > 0:
		ans.Text = func(w io.Writer) error {
			for _, c := range got.Conflicts {
				mark := ""
				if c.Undecided {
					mark = "cannot be decided: "
				}
				fmt.Fprintf(w, "%s of version %d\t%s\t%s%s\n", c.Direction, c.Version, pointer(c.Path), mark, c.Text)
			}
			return nil
		}
		return ans, &parley.Error{Code: parley.Unprocessable, Field: "FILE", Detail: "the schema does not fit: " + count(int64(len(got.Conflicts)), "reason"), Fix: "change it there, or put it with --compatibility none"}
	case got.Failure != nil:
		return ans, &parley.Error{Code: parley.Unprocessable, Field: "--data", Detail: "the data is not valid: " + pointer(got.Failure.Path) + " " + got.Failure.Text, Fix: "see " + got.Failure.Keyword + " at " + pointer(got.Failure.Schema) + " of the schema"}
	}
	return ans, nil
}

// pointer writes a JSON Pointer for people.
func pointer(path string) string {
	if path == "" {
		return "(whole)"
	}
	return path
}

func (a *app) schemaDiff() *cobra.Command {
	c := &cobra.Command{
		Use: "diff TOPIC OLD NEW", Short: "Tell in words what is different between two versions.",
		Example: `  parley schema diff orders 1 2
  parley schema diff orders 2 next.json`,
		Long: "OLD and NEW are numbers of versions, or files. The exit code is 3 when they say the same.",
		Args: exactly("TOPIC", "OLD", "NEW"),
	}
	at, kind := a.remoteFlags(c), typeFlag(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		var texts [2]json.RawMessage
		for i, which := range args[1:] {
			if texts[i], err = a.versionOrFile(ctx, cl, args[0], *kind, which); err != nil {
				return answer{}, err
			}
		}
		changes, err := schema.Diff(texts[0], texts[1])
		if err != nil {
			return answer{}, err
		}
		if changes == nil {
			changes = []schema.Change{} // in JSON a list, not null
		}
		return answer{Summary: count(int64(len(changes)), "difference"), Result: changes, Partial: len(changes) == 0, Text: func(w io.Writer) error {
			for _, change := range changes {
				fmt.Fprintln(w, change)
			}
			return nil
		}}, nil
	})
	return c
}

func (a *app) versionOrFile(ctx context.Context, cl *client.Client, topic, kind, which string) (json.RawMessage, error) {
	number, err := strconv.Atoi(which)
	if err != nil {
		return a.readJSON(which, schema.MaxSchema)
	}
	if number < 1 {
		return nil, usagef("write 1 or more, or the name of a file", "%d is no version", number)
	}
	s, err := cl.Schema(ctx, topic, kind, number)
	return s.Schema, err
}

func (a *app) schemaRemove() *cobra.Command {
	c := &cobra.Command{
		Use: "rm TOPIC", Aliases: []string{"delete"}, Short: "Delete a schema with all its versions.",
		Example: `  parley schema rm orders
  parley schema rm orders --type order.made`,
		Args: exactly("TOPIC"),
	}
	at, kind := a.remoteFlags(c), typeFlag(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		if err := cl.DeleteSchema(ctx, args[0], *kind); err != nil {
			return answer{}, err
		}
		return answer{Summary: "the schema of " + subjectName(client.Schema{Topic: args[0], Type: *kind}) + " is deleted", Result: map[string]any{"topic": args[0], "type": *kind}}, nil
	})
	return c
}
