package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbitMQ is Debian's rabbitmq-server: one node with a name, ports and a port mapper
// of its own, and no plugins.
type rabbitMQ struct {
	mapper, cmd *exec.Cmd
	addr        string
}

// rabbitScript is what Debian's wrapper runs once it has changed the user.
const rabbitScript = "/usr/lib/rabbitmq/bin/rabbitmq-server"

func startRabbitMQ(dir string) (instance, error) {
	epmd, err := exec.LookPath("epmd")
	if _, missing := os.Stat(rabbitScript); err != nil || missing != nil {
		return nil, errAbsent
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	mapperAddr, mapperPort, err := freePort()
	if err != nil {
		return nil, err
	}
	_, nodePort, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &rabbitMQ{addr: addr}
	// The node finds this one, and starts none that would outlive it.
	if r.mapper, err = startTied(dir, nil, epmd, "-address", "127.0.0.1", "-port", mapperPort); err != nil {
		return nil, err
	}
	if err = answers(mapperAddr); err == nil {
		r.cmd, err = startTied(dir, []string{
			"HOME=" + dir, "RUNNING_UNDER_SYSTEMD=true", // the script becomes the server
			"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
			"RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
			"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "none"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
			"RABBITMQ_NODENAME=bench" + nodePort + "@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + port, "RABBITMQ_DIST_PORT=" + nodePort,
			"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=" + mapperPort,
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		}, rabbitScript)
	}
	if err == nil {
		err = r.declare()
	}
	if err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// startTied starts a process that is killed when this one dies.
func startTied(dir string, env []string, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

// declare makes the queue, once the server answers: it takes its time.
func (r *rabbitMQ) declare() (err error) {
	for range 6 {
		if err = answers(r.addr); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	c, err := r.dial()
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.ch.QueueDeclare("bench", true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	return err
}

func (r *rabbitMQ) pid() int { return r.cmd.Process.Pid }

func (r *rabbitMQ) stop() {
	for _, cmd := range []*exec.Cmd{r.cmd, r.mapper} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
}

type rabbitClient struct {
	conn     *amqp.Connection
	ch       *amqp.Channel
	confirms []*amqp.DeferredConfirmation
}

func (r *rabbitMQ) dial() (*rabbitClient, error) {
	conn, err := amqp.Dial("amqp://" + r.addr)
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &rabbitClient{conn: conn, ch: ch}, nil
}

func (r *rabbitMQ) enqueuer() (enqueuer, error) { return r.dial() }
func (r *rabbitMQ) worker() (worker, error)     { return r.dial() }

// enqueue returns when the server has confirmed all.
func (c *rabbitClient) enqueue(n int, payload []byte) error {
	c.confirms = c.confirms[:0]
	for range n {
		d, err := c.ch.PublishWithDeferredConfirm("", "bench", false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: payload})
		if err != nil {
			return err
		}
		c.confirms = append(c.confirms, d)
	}
	for _, d := range c.confirms {
		if !d.Wait() {
			return errors.New("a job is not taken")
		}
	}
	return nil
}

// work acks what has come with one ack. The protocol has no answer to it, so that
// jobs count from its sending.
func (c *rabbitClient) work(ctx context.Context, done func(int)) error {
	defer c.close()
	if err := c.ch.Qos(batch, 0, false); err != nil {
		return err
	}
	jobs, err := c.ch.ConsumeWithContext(ctx, "bench", "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for job := range jobs {
		last, n := job, 1
		for n < batch {
			select {
			case more, open := <-jobs:
				if open {
					last, n = more, n+1
					continue
				}
			default:
			}
			break
		}
		if err := last.Ack(true); err != nil {
			return err
		}
		done(n)
	}
	return ctx.Err()
}

func (c *rabbitClient) close() { _ = c.conn.Close() }
