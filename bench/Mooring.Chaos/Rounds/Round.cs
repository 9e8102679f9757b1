using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>
/// One fault, or a row of the same, against sessions under load. That no call is lost or done twice and no session is lost is promised in
/// every round; the rest is for the round to say.
/// </summary>
internal abstract class Round
{
    /// <summary>For <c>--only</c>.</summary>
    public abstract string Name { get; }

    /// <summary>What happens, for the table.</summary>
    public abstract string Title { get; }

    public virtual StandShape Shape => new(Replicas: 2);

    public virtual Conduct Conduct => new();

    /// <summary>Whether servers know the tasks that they made to the end. Not where they are killed.</summary>
    public virtual bool ServersKeepTasks => true;

    /// <summary>Whether nobody may be without tools. Not where the only gateway is down.</summary>
    public virtual bool ToolsAlways => true;

    /// <summary>Whether that goes for clients of HTTP+SSE as well. Not where the store is kept from gateways: what such a client asks at one is answered on its one stream, which may be at another, and there is no way to that but the store.</summary>
    public virtual bool ToolsAlwaysLegacy => ToolsAlways;

    /// <summary>Whether no list may be empty, incomplete or refused by a gateway. Not where the only gateway stops; a network that is away refuses nothing.</summary>
    public virtual bool ListsAlways => ToolsAlways;

    /// <summary>Longest time, at the 99th percentile, in which a stream must be back; null where the fault itself keeps it away.</summary>
    public virtual TimeSpan? ResumeLimit => null;

    /// <summary>Why the round cannot be played on this machine; null where it can.</summary>
    public virtual string? Obstacle => null;

    /// <summary>Does what the round is about; returns when everything is whole again.</summary>
    public abstract Task StrikeAsync(Field field, CancellationToken cancel);

    /// <summary>Takes back what was done to the machine.</summary>
    public virtual Task ClearAsync() => Task.CompletedTask;
}

/// <summary>What a round has to work with.</summary>
internal sealed record Field(Stand Stand, Crowd Crowd, Conduct Conduct, Evidence Evidence, bool IsShort)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(10);

    /// <summary>Waits for calls to be under way, and writes down how many: a fault in an idle moment would not prove anything.</summary>
    public async Task CallsUnderWayAsync(CancellationToken cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (Crowd.Tally.UnderWay == 0 && TimeProvider.System.GetElapsedTime(start) < CallLimit)
        {
            await Task.Delay(Look, cancel);
        }

        Evidence.Show("calls under way", Crowd.Tally.UnderWay);
    }

    /// <summary>
    /// Has every gateway know every session. Of one that it never saw, a gateway cannot say whose it is while the store is away, and refuses it.
    /// </summary>
    public Task AcquaintAsync(CancellationToken cancel) =>
        Task.WhenAll(Crowd.Sessions.Select(async session =>
        {
            foreach (var replica in Stand.Replicas)
            {
                await session.VisitAsync(replica.Url, cancel);
            }
        }));

    public void ShowKill(int exitCode) => Evidence.Show("killed", exitCode == 128 + 9 ? 1 : 0);

    public void ShowStop(int exitCode) => Evidence.Show("stopped by themselves", exitCode == 0 ? 1 : 0);

    /// <summary>That every gateway has said these words, which it says only when the fault reached it.</summary>
    public void ShowSaid(string words)
    {
        foreach (var replica in Stand.Replicas)
        {
            Evidence.Show($"× \"{words}\"", replica.Log.Split(words).Length - 1);
        }
    }

    /// <summary>Lets the load run for so many seconds, or so many in a short run.</summary>
    public Task WaitAsync(double seconds, double brief, CancellationToken cancel) => Task.Delay(TimeSpan.FromSeconds(IsShort ? brief : seconds), cancel);
}
