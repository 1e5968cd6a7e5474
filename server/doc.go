// Package server puts Parley together: it reads the configuration, opens the
// engine, plugs topics, hub and doors into one another, and gives them a life:
// New builds, Run serves until its context ends and then drains. No rule of any
// pattern is here.
//
// Each setting is declared once, as a Field, in the file of what it steers; the
// YAML file, the environment, the flags, the reference in docs/config.md and the
// file that `parley config init` prints are all read from that declaration.
package server
