using Mooring.Configuration;

namespace Mooring.Auth;

/// <content>What is remembered of a token, and of how many.</content>
internal sealed partial class Authenticator
{
    private long _nextRoom = long.MinValue;
    private int _makesRoom;

    /// <summary>
    /// Tokens that are remembered. Where there are more, those go that were not used for longest and have no stream; so all that have one are remembered, whose number has limits of its
    /// own: nobody else would end it.
    /// </summary>
    /// <value>Default 100,000; fewer in tests.</value>
    internal int Most { get; set; } = 100_000;

    /// <summary>Takes out a twentieth at once: to look through all of them takes a while, so not with each token.</summary>
    private void MakeRoom(long now)
    {
        if (_known.Count < Most || now < Volatile.Read(ref _nextRoom) || Interlocked.Exchange(ref _makesRoom, 1) != 0)
        {
            return;
        }

        var wanted = Math.Max(1, Most / 20);
        foreach (var (hash, known) in _known.Where(one => !one.Value.Caller.HasStreams).OrderBy(one => one.Value.Used).Take(wanted).ToList())
        {
            if (known.Caller.TryEndWithoutStreams())
            {
                wanted--;
                _known.TryRemove(KeyValuePair.Create(hash, known));
            }
        }

        if (wanted > 0)
        {
            // Nearly all have streams.
            Volatile.Write(ref _nextRoom, now + Units(LookEvery));
        }

        Volatile.Write(ref _makesRoom, 0);
    }

    private sealed class Known(Caller caller, ITokenVerifier verifier, string token)
    {
        public int Refreshing;

        public Caller Caller => caller;

        public ITokenVerifier Verifier => verifier;

        /// <summary>To ask about it again.</summary>
        public string Token => token;

        /// <summary>The configuration that was last seen to let its person in.</summary>
        public AuthConfig? Allowed { get; set; }

        public int Generation { get; set; }

        public long Checked { get; set; }

        /// <summary>By a request.</summary>
        public long Used { get; set; }
    }
}
