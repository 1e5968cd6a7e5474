package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/parleyhq/parley/server"
)

// configFlags are the flags of a server's settings, one for each server.Field that
// has one. Their values are read by server.Load, with its errors.
type configFlags struct {
	file   string
	values map[string][]string
}

func (f *configFlags) add(c *cobra.Command) {
	f.values = map[string][]string{}
	c.Flags().StringVar(&f.file, "config", "", "configuration `file`; default "+server.FileName+" if it is there")
	for _, field := range server.Fields() {
		if field.Flag == "" {
			continue
		}
		flag := c.Flags().VarPF(&configValue{flags: f, field: field}, field.Flag, "", firstSentence(field.Doc))
		if field.IsBool() {
			flag.NoOptDefVal = "true"
		}
		if len(field.OneOf) > 0 {
			// It fails only for a flag that is not there.
			_ = c.RegisterFlagCompletionFunc(field.Flag, cobra.FixedCompletions(field.OneOf, cobra.ShellCompDirectiveNoFileComp))
		}
	}
}

func (f *configFlags) sources(env []string) server.Sources {
	return server.Sources{File: f.file, Env: env, Flags: f.values}
}

// firstSentence of a text, as a flag's usage.
func firstSentence(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	return strings.ReplaceAll(strings.TrimSuffix(doc, "."), "`", "")
}

// configValue keeps what was given for a flag, as text.
type configValue struct {
	flags *configFlags
	field server.Field
}

var _ pflag.Value = (*configValue)(nil)

// Set implements pflag.Value.
func (v *configValue) Set(text string) error {
	v.flags.values[v.field.Flag] = append(v.flags.values[v.field.Flag], text)
	return nil
}

// String implements pflag.Value: the default, for the help.
func (v *configValue) String() string { return v.field.Default }

// Type implements pflag.Value.
func (v *configValue) Type() string {
	switch {
	case v.field.IsBool():
		return "bool"
	case len(v.field.OneOf) > 0:
		return strings.Join(v.field.OneOf, "|")
	case v.field.Usage != "":
		return v.field.Usage
	}
	return v.field.Type
}
