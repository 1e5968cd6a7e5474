package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/server"
)

func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check, describe and begin a configuration.",
		Example: `  parley config init > parley.yaml
  parley config check
  parley config doc`,
	}
	c.AddCommand(a.configCheckCommand(), a.configDocCommand(), a.configInitCommand())
	group(c)
	return c
}

// setting is a value that is not the default, and where it comes from.
type setting struct {
	Path   string `json:"path"`
	Source string `json:"source"`
}

func (a *app) configCheckCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration that serve would use, and say where each setting comes from.",
		Example: `  parley config check
  parley config check --config staging.yaml
  PARLEY_LISTEN=:80 parley config check --json`,
		Args: exactly(),
	}
	flags.add(c)
	c.RunE = a.command(func(context.Context, []string) (answer, error) {
		loaded, err := server.Load(flags.sources(a.env))
		if err != nil {
			return answer{}, err
		}
		if _, err := server.New(loaded.Config, server.Options{}); err != nil { // certificates, too
			return answer{}, err
		}
		settings := make([]setting, 0, len(loaded.From))
		for path, source := range loaded.From {
			settings = append(settings, setting{path, source})
		}
		slices.SortFunc(settings, func(x, y setting) int { return cmp.Compare(x.Path, y.Path) })
		return answer{
			Summary: fine(len(settings)),
			Result:  map[string]any{"file": loaded.File, "settings": settings},
			Text: func(w io.Writer) error {
				for _, s := range settings {
					if _, err := fmt.Fprintf(w, "%-28s %s\n", s.Path, s.Source); err != nil {
						return err
					}
				}
				return nil
			},
		}, nil
	})
	return c
}

func fine(settings int) string {
	switch settings {
	case 0:
		return "the configuration is fine; every setting has its default"
	case 1:
		return "the configuration is fine; it sets one value"
	}
	return fmt.Sprintf("the configuration is fine; it sets %d values", settings)
}

func (a *app) configDocCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doc", Short: "Print the reference of all settings, as Markdown.",
		Example: "  parley config doc > config.md", Args: exactly(),
		RunE: a.command(func(context.Context, []string) (answer, error) { return textAnswer("markdown", server.Doc()), nil }),
	}
}

func (a *app) configInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Print a configuration file with every setting, its default, and what it does.",
		Example: "  parley config init > parley.yaml", Args: exactly(),
		RunE: a.command(func(context.Context, []string) (answer, error) { return textAnswer("yaml", server.Init()), nil }),
	}
}

// textAnswer is the answer of a command that prints one text.
func textAnswer(member, text string) answer {
	return answer{Result: map[string]string{member: text}, Text: func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
}
