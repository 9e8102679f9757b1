using Mooring.FrontDoor;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Who listens to a resource comes and goes, and what follows from it takes its turns.</summary>
public sealed class InterestsTests
{
    private const string NobodysUri = "nobody://x";

    [Fact]
    public async Task Leave_OneCameWhileWhatFollowsFromTheOneBeforeWaitedForItsTurn_IsTheirOwn()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await new StatelessClient(gateway.Http, "/mcp").ResultAsync("tools/list");
        var session = Assert.Single(gateway.Sessions.All);
        var interests = gateway.Get<Interests>();
        var turns = new Turns();

        turns.Run(() =>
        {
            _ = interests.EnterAsync(session, NobodysUri);
            interests.Leave(session, NobodysUri);
            turns.Next();
            _ = interests.EnterAsync(session, NobodysUri);
            turns.Next();
            turns.Next();

            // Throws where the other one's end has taken it out.
            interests.Leave(session, NobodysUri);
            turns.Next();
        });

        Assert.False(await Limit.Of(interests.EnterAsync(session, NobodysUri), "whether it is told"));
    }

    [Fact]
    public async Task Enter_AskingTheServerFails_IsNotHonoured_AndTheNextOneIs()
    {
        var fails = true;
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream
        {
            Intercept = e => (string?)e.Message?["method"] == "resources/subscribe" && fails ? throw new InvalidOperationException("a bug") : false,
        });
        var client = new StatelessClient(gateway.Http);
        const string Wanted = """{"resourceSubscriptions":["test://one/a"]}""";

        var (first, refused) = await client.ListenAsync(Wanted);
        first.Dispose();
        fails = false;
        var (second, honoured) = await client.ListenAsync(Wanted);
        second.Dispose();

        Assert.Equal("{}", refused["params"]!["notifications"]!.ToJsonString());
        Assert.Equal(Wanted, honoured["params"]!["notifications"]!.ToJsonString());
        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error InterestFailed", StringComparison.Ordinal));
    }

    /// <summary>Gives work that gives way its turn when the test says so.</summary>
    private sealed class Turns : SynchronizationContext
    {
        private readonly Queue<Action> _waiting = [];

        public void Run(Action work)
        {
            var before = Current;
            SetSynchronizationContext(this);
            try
            {
                work();
            }
            finally
            {
                SetSynchronizationContext(before);
            }
        }

        public void Next() => _waiting.Dequeue()();

        public override void Post(SendOrPostCallback d, object? state) => _waiting.Enqueue(() => d(state));
    }
}
