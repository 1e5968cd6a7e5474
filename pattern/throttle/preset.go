package throttle

import "time"

// Login is for passwords: 5 guesses at an account in 15 minutes and no more
// than 100 in an hour whatever succeeds between them, 5 from one address at one account, 20 from one
// address in 10 minutes, 50 a second in all. Guesses that go on after that lock
// the account for 1, 2, 4 … 15 minutes. Call Succeed when the password was
// right: it gives the guess back and clears account and pair, but never the
// hourly ceiling of the account beyond that one guess, nor the address.
//
// Whoever knows an account's name can lock it. Let a device that logged in before
// (a signed cookie) pass by a guard without the account's parts.
func Login() Preset {
	return Preset{
		Name: "login",
		Parts: []Part{
			{Name: "account", By: ByAccount, Limit: NewGCRA(5, 15*time.Minute, 5), Clear: true},
			{Name: "account-hour", By: ByAccount, Limit: NewSlidingLog(100, time.Hour)},
			{Name: "pair", By: ByPair, Limit: NewGCRA(5, 15*time.Minute, 5), Clear: true},
			{Name: "ip", By: ByIP, Limit: NewGCRA(20, 10*time.Minute, 20)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(100, 50)},
		},
		Ban: Ban{After: 3, Within: 15 * time.Minute, For: time.Minute, Max: 15 * time.Minute}, BanBy: ByAccount,
	}
}

// OTP is for one-time codes of six digits: exactly 5 tries in any 10 minutes for an
// account, so that a code cannot be guessed while it lives; 30 from an address;
// 20 a second in all. Going on locks the account for 5 minutes to 1 hour.
func OTP() Preset {
	return Preset{
		Name: "otp",
		Parts: []Part{
			{Name: "account", By: ByAccount, Limit: NewSlidingLog(5, 10*time.Minute)},
			{Name: "ip", By: ByIP, Limit: NewGCRA(30, 10*time.Minute, 10)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(40, 20)},
		},
		Ban: Ban{After: 3, Within: 10 * time.Minute, For: 5 * time.Minute, Max: time.Hour}, BanBy: ByAccount,
	}
}

// Signup is for new accounts: 5 an hour and 20 a day from an address, 10 a
// second in all. Going on locks the address for 10 minutes to a day.
func Signup() Preset {
	return Preset{
		Name: "signup",
		Parts: []Part{
			{Name: "ip-hour", By: ByIP, Limit: NewGCRA(5, time.Hour, 5)},
			{Name: "ip-day", By: ByIP, Limit: NewSlidingCounter(20, 24*time.Hour)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(30, 10)},
		},
		Ban: Ban{After: 10, Within: time.Hour, For: 10 * time.Minute, Max: 24 * time.Hour}, BanBy: ByIP,
	}
}

// Reset is for mails that reset a password: 3 an hour to an account, so that nobody's
// mailbox is flooded; 10 an hour from an address; 5 a second in all. It does
// not lock out.
func Reset() Preset {
	return Preset{
		Name: "reset",
		Parts: []Part{
			{Name: "account", By: ByAccount, Limit: NewAtMost(3, time.Hour, 2)},
			{Name: "ip", By: ByIP, Limit: NewGCRA(10, time.Hour, 5)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(20, 5)},
		},
	}
}

// Invite is for invitations: 10 an hour and 30 a day by an account, 60 a day
// from an address, 10 a second in all.
func Invite() Preset {
	return Preset{
		Name: "invite",
		Parts: []Part{
			{Name: "account-hour", By: ByAccount, Limit: NewGCRA(10, time.Hour, 10)},
			{Name: "account-day", By: ByAccount, Limit: NewSlidingCounter(30, 24*time.Hour)},
			{Name: "ip-day", By: ByIP, Limit: NewSlidingCounter(60, 24*time.Hour)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(30, 10)},
		},
		Ban: Ban{After: 20, Within: time.Hour, For: time.Hour, Max: 24 * time.Hour}, BanBy: ByAccount,
	}
}

// Email is for mail that goes out: 100 an hour by an account in any hour, 20 at
// once, and 50 a second in all.
func Email() Preset {
	return Preset{
		Name: "email",
		Parts: []Part{
			{Name: "account", By: ByAccount, Limit: NewAtMost(100, time.Hour, 20)},
			{Name: "all", By: ByAll, Limit: NewTokenBucket(100, 50)},
		},
	}
}

// Crawl is for fetching other people's pages; the account is the host: one a
// second, two at once, and 32 at once over all hosts. Call Done after each.
func Crawl() Preset {
	return Preset{
		Name: "crawl",
		Parts: []Part{
			{Name: "host", By: ByAccount, Limit: NewLeakyQueue(0, 1, time.Second)},
			{Name: "host-inside", By: ByAccount, Limit: NewConcurrency(2)},
			{Name: "inside", By: ByAll, Limit: NewConcurrency(32)},
		},
	}
}

// Presets are all the above.
func Presets() []Preset {
	return []Preset{Login(), OTP(), Signup(), Reset(), Invite(), Email(), Crawl()}
}
