package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/parleyhq/parley/internal/suggest"
)

// run runs the program with arguments and gives its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.json = slices.Contains(args, "--json") // also for errors before flags are read
	a.colour = a.wantsColour(isTerminal(a.err))
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began { // then it is cobra that complains
		err = usageOf(cmd, err)
	}
	if cmd != nil {
		a.inputs = inputsOf(cmd)
	}
	return a.finish(nameOf(cmd), err)
}

// inputsOf maps the fields that an API names in its errors to the flags and
// arguments of a command that talks to a server.
func inputsOf(cmd *cobra.Command) map[string]string {
	if cmd.Flags().Lookup("server") == nil {
		return nil // a server's own settings come from elsewhere, too
	}
	names := map[string]string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names[strings.ReplaceAll(f.Name, "-", "_")] = "--" + f.Name })
	for field, flag := range map[string]string{"url": "server", "target": "grpc", "after": "from", "cursor": "from", "authorization": "token"} {
		if cmd.Flags().Lookup(flag) != nil {
			names[field] = "--" + flag
		}
	}
	if after, ok := names["after"]; ok {
		names["cursor"] = after
	}
	for _, argument := range []string{"TOPIC", "QUEUE", "LEASE", "GROUP"} {
		if field := strings.ToLower(argument); strings.Contains(cmd.Use, argument) {
			names[field], names[field+"s"] = argument, argument
		}
	}
	return names
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "parley",
		Short: "Publish, subscribe, poll, stream and queue events over one durable log.",
		Example: `  parley serve                        start a server
  parley serve --data :memory:        … that keeps nothing
  parley config init > parley.yaml    write a configuration to change`,
		Long: `Data goes to standard output, talk to standard error; --json makes the answer
one JSON object {command, ok, summary, result, error}.

Exit codes: 0 it worked; 1 it failed, and standard error says why; 2 it was not
asked for rightly, and nothing was done; 3 it worked, but found nothing or did
only a part.`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Version = version()
	root.SetVersionTemplate("parley {{.Version}}\n")
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(helpTemplate)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().BoolVar(&a.json, "json", a.json, "answer with one JSON object on standard output")
	root.AddCommand(a.serveCommand(), a.pubCommand(), a.subCommand(), a.pollCommand(), a.pipeCommand(), a.topicCommand(), a.schemaCommand(), a.queueCommand(), a.streamCommand(), a.throttleCommand(), a.demoCommand(), a.configCommand(), a.tokenCommand(), a.verifyCommand(), a.dumpCommand(), a.snapshotCommand(), a.versionCommand(), a.completionCommand())
	group(root)
	return root
}

// group makes a command that only has others show its help, and suggest what was
// meant when a word is none of them.
func group(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		fix := "use one of " + strings.Join(names, ", ")
		if near := suggest.Closest(args[0], names); near != "" {
			fix = "did you mean " + cmd.CommandPath() + " " + near + "?"
		}
		return usagef(fix, "%q is not a command of %s", args[0], cmd.CommandPath())
	}
}

// flagError explains a flag that cannot be.
func flagError(cmd *cobra.Command, err error) error {
	fix := "see " + cmd.CommandPath() + " --help"
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := suggest.Closest(name, names); near != "" {
			fix = "did you mean --" + near + "?"
		}
	}
	return usagef(fix, "%s", err.Error())
}

// exactly asks for arguments by their names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		like, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
		like, _, _ = strings.Cut(like, "  ") // what follows explains it
		fix := "write it like: " + like
		if len(args) < len(names) {
			return usagef(fix, "%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef(fix, "%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

func nameOf(cmd *cobra.Command) string {
	if cmd == nil {
		return ""
	}
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return name
}

const helpTemplate = `{{.Short}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .Long}}

{{.Long}}{{end}}

Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`
