using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams.Http;
using Mooring.Upstreams.Stateless;
using Mooring.Upstreams.Stdio;

namespace Mooring.Upstreams;

/// <content>
/// How a link is opened: over which transport, and with or without a session. Which of both a server wants is found out as the specification says
/// (2026-07-28, basic/versioning, "Backward Compatibility"), and remembered (<see cref="Eras"/>); one that has sessions must not notice.
/// </content>
internal sealed partial class Upstream
{
    /// <summary>How long a server may be silent to <c>server/discover</c> before it is asked the other way as well.</summary>
    private static readonly TimeSpan ProbePatience = TimeSpan.FromSeconds(2);

    /// <summary>How long others wait for what the first to ask an unknown server finds out: the question, and a session where it gives no answer.</summary>
    private static readonly TimeSpan FirstContactPatience = 2 * ProbePatience;

    /// <summary>The first link to a server that nobody knows, while it is being opened.</summary>
    private TaskCompletionSource? _firstContact;

    /// <summary>What all links without sessions share.</summary>
    private readonly StatelessMemory _memory;

    /// <summary>Whether it is the gateway that finds out whether the server has sessions.</summary>
    public bool MayChangeEra => Config.Protocol == ServerProtocol.Auto && Connector is null && Config.Transport != ServerTransport.Sse;

    /// <summary>Whether it is known to be one without sessions (2026-07-28).</summary>
    public bool IsStateless => Era == Era.Stateless;

    /// <summary>Whether anybody knows if it has sessions.</summary>
    public bool IsKnown => Era != Era.Unknown;

    private Era Era => Connector is not null || Config.Transport == ServerTransport.Sse ? Era.Sessions
        : Config.Protocol switch
        {
            ServerProtocol.Auto => _services.Eras.Of(this),
            ServerProtocol.V2026_07_28 => Era.Stateless,
            _ => Era.Sessions,
        };

    /// <summary>The version with sessions that it is to be spoken to in, whatever the client speaks.</summary>
    private LinkParameters Pinned(LinkParameters parameters)
    {
        ProtocolVersion? version = Config.Protocol switch
        {
            ServerProtocol.V2024_11_05 => ProtocolVersion.V2024_11_05,
            ServerProtocol.V2025_03_26 => ProtocolVersion.V2025_03_26,
            ServerProtocol.V2025_06_18 => ProtocolVersion.V2025_06_18,
            ServerProtocol.V2025_11_25 => ProtocolVersion.V2025_11_25,
            _ => null,
        };
        return version is { } pinned && JsonFields.Find(parameters.InitializeParams, "protocolVersion"u8) is { IsPresent: true } at
            ? parameters with { InitializeParams = JsonFields.Splice(parameters.InitializeParams, at, JsonText.Quote(pinned.ToWire())), Version = pinned }
            : parameters;
    }

    /// <summary>One asks what an unknown server is; whoever comes meanwhile waits for that, for a while.</summary>
    private async Task<(Link? Link, string Why)> OpenTransportAsync(LinkParameters parameters, ILinkOwner owner, LinkRecord? known, CancellationToken cancel)
    {
        if (!MayChangeEra || Era != Era.Unknown || known is not null)
        {
            return await OpenNowAsync(parameters, owner, known, cancel);
        }

        var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref _firstContact, mine, null) is { } theirs)
        {
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            await Task.WhenAny(theirs.Task, Task.Delay(FirstContactPatience, _services.Time, over.Token));
            await over.CancelAsync();
            cancel.ThrowIfCancellationRequested();
            return await OpenNowAsync(parameters, owner, known, cancel);
        }

        try
        {
            return await OpenNowAsync(parameters, owner, known, cancel);
        }
        finally
        {
            Volatile.Write(ref _firstContact, null);
            mine.SetResult();
        }
    }

    private async Task<(Link? Link, string Why)> OpenNowAsync(LinkParameters parameters, ILinkOwner owner, LinkRecord? known, CancellationToken cancel)
    {
        if (Connector is not null)
        {
            return await ShakeHandsAsync(parameters, owner, ServeConnector(Connector), cancel);
        }

        if (_http?.For(parameters.Authorizer) is not { } http)
        {
            return await OpenProcessAsync(parameters, owner, cancel);
        }

        if (Config.Transport == ServerTransport.Http)
        {
            return await OpenHttpAsync(http, parameters, owner, known, cancel);
        }

        var (channel, noChannel) = await SseChannel.OpenAsync(http, cancel);
        return channel is null ? (null, noChannel) : await ShakeHandsAsync(parameters, owner, channel, cancel);
    }

    private async Task<(Link? Link, string Why)> OpenHttpAsync(HttpExchange http, LinkParameters parameters, ILinkOwner owner, LinkRecord? known, CancellationToken cancel)
    {
        // :: 1 without a session, unless it is known to have them
        var era = Era;
        Discovery? found = null;
        if (known is null && era != Era.Sessions)
        {
            (var stateless, found, var whyNot) = await DiscoverAsync(http, parameters, owner, era == Era.Unknown ? ProbePatience : Timeout.InfiniteTimeSpan, cancel);
            if (stateless is not null || !MayChangeEra || found is Discovery.Barred or Discovery.NotReached || (era == Era.Stateless && found == Discovery.Undecided))
            {
                return (stateless, whyNot);
            }
        }

        // :: 2 with one
        var link = new HttpLink(this, parameters, owner, http, _services.Time, _services.Logger);
        var why = await link.OpenAsync(known?.UpstreamSessionId, known?.InitializeResult ?? default, Parse(known?.Version), cancel);
        if (why is null)
        {
            if (known is null)
            {
                Remember(found, era, link);
            }

            return (link, "");
        }

        // :: 3 with the one of 2024-11-05: an older server answers 4xx here and an endpoint event to GET (2025-11-25, basic/transports, "Backwards Compatibility")
        if ((int?)link.InitializeStatus is 400 or 404 or 405)
        {
            var (fallback, _) = await SseChannel.OpenAsync(http, cancel);
            if (fallback is not null)
            {
                var opened = await ShakeHandsAsync(parameters, owner, fallback, cancel);
                if (opened.Link is not null)
                {
                    Remember(found, era, opened.Link);
                }

                return opened;
            }
        }

        // :: 4 without a session after all: it was another release when it was asked last, or only slow to say
        if (link.WasRefused && MayChangeEra && found is null or Discovery.Undecided)
        {
            var (stateless, _, _) = await DiscoverAsync(http, parameters, owner, Timeout.InfiniteTimeSpan, cancel);
            if (stateless is not null)
            {
                return (stateless, "");
            }
        }

        return (null, why);
    }

    private async Task<(Link? Link, Discovery Found, string Why)> DiscoverAsync(HttpExchange http, LinkParameters parameters, ILinkOwner owner, TimeSpan patience, CancellationToken cancel)
    {
        var leg = new StatelessHttp(http, this, _services.Logger);
        var link = new StatelessLink(this, parameters, owner, leg, _memory, _services.Time, _services.Logger);
        using var limit = new CancellationTokenSource(patience, _services.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var (found, why) = await link.DiscoverAsync(both.Token);
        if (found == Discovery.Stateless)
        {
            _services.Eras.Learn(this, Era.Stateless, link);
            return (link, found, "");
        }

        await link.DisposeAsync();
        cancel.ThrowIfCancellationRequested();
        return (null, found, why);
    }

    /// <summary>It was opened with a session.</summary>
    /// <param name="found">What it answered before; null: it was not asked.</param>
    /// <param name="era">What was known of it.</param>
    /// <param name="link">The link.</param>
    private void Remember(Discovery? found, Era era, Link link)
    {
        if (!MayChangeEra)
        {
            return;
        }

        if (found is null && era == Era.Sessions)
        {
            _services.Eras.Opened(this, link);
        }
        else if (found == Discovery.Sessions)
        {
            _services.Eras.Learn(this, Era.Sessions, link);
        }
        else
        {
            _services.Eras.Guess(this, era);
        }
    }

    private static ProtocolVersion Parse(string? version) => ProtocolVersions.TryParse(version, out var parsed) ? parsed : ProtocolVersions.Latest;

    private async Task<(Link? Link, string Why)> OpenProcessAsync(LinkParameters parameters, ILinkOwner owner, CancellationToken cancel)
    {
        var era = Era;
        Discovery? left = null;
        if (era != Era.Sessions)
        {
            (var probed, var whyNot, left) = await ProbeProcessAsync(parameters, owner, era, cancel);
            if (probed is not null || left is null || !MayChangeEra)
            {
                return (probed, whyNot);
            }

            // Some servers leave when the first thing they hear is not initialize; others may have left for any reason.
        }

        var (channel, noChannel) = await StartProcessAsync(cancel);
        if (channel is null)
        {
            return (null, noChannel);
        }

        var (opened, why) = await ShakeHandsAsync(parameters, owner, channel, cancel, mayDiscover: MayChangeEra && era == Era.Sessions);
        if (opened is ChannelLink)
        {
            Remember(left, era, opened);
        }

        return (opened, why);
    }

    /// <summary>Starts a process that nobody knows, or that has no sessions, and asks it what it is.</summary>
    /// <returns>The link, or why there is none; and where the process has left, what it had said by then.</returns>
    private async Task<(Link? Link, string Why, Discovery? Left)> ProbeProcessAsync(LinkParameters parameters, ILinkOwner owner, Era era, CancellationToken cancel)
    {
        var (channel, noChannel) = await StartProcessAsync(cancel);
        if (channel is null)
        {
            return (null, noChannel, null);
        }

        var link = new ChannelLink(this, parameters, owner, channel, _services.Logger);
        link.Start();
        try
        {
            var (opened, why, found) = await DiscoverAsync(link, owner, era, cancel);
            if (opened is not null)
            {
                return (opened, "", null);
            }

            var hasLeft = !link.IsUsable;
            await link.DisposeAsync();
            cancel.ThrowIfCancellationRequested();
            return (null, why.Length == 0 ? channel.EndReason : why, hasLeft ? found : null);
        }
        catch
        {
            await link.DisposeAsync();
            throw;
        }
    }

    /// <param name="opening">The answer to <c>initialize</c>, where it is asked for already.</param>
    private async Task<(Link? Link, string Why, Discovery Found)> DiscoverAsync(
        ChannelLink channel, ILinkOwner owner, Era era, CancellationToken cancel, Task<string?>? opening = null)
    {
        var leg = new StatelessChannel(channel, _services.Logger);
        var stateless = new StatelessLink(this, channel.Parameters, owner, leg, _memory, _services.Time, _services.Logger);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var discovering = stateless.DiscoverAsync(over.Token);
        if (era == Era.Unknown)
        {
            await Task.WhenAny(discovering, Task.Delay(ProbePatience, _services.Time, cancel));
            if (!discovering.IsCompleted)
            {
                // It starts slowly, or says nothing to what it does not know: then it waits for this.
                opening = channel.OpenAsync(cancel);
                if (await Task.WhenAny(discovering, opening) == opening && await opening is null)
                {
                    await over.CancelAsync();
                    Remember(Discovery.Undecided, era, channel);
                    return (channel, "", Discovery.Undecided);
                }
            }
        }

        var (found, why) = await discovering;
        if (found == Discovery.Stateless)
        {
            channel.HandOver(leg);
            _services.Eras.Learn(this, Era.Stateless, stateless);
            return (stateless, "", found);
        }

        if (found == Discovery.Barred || !MayChangeEra || !channel.IsUsable || cancel.IsCancellationRequested)
        {
            return (null, why, found);
        }

        var refused = await (opening ?? channel.OpenAsync(cancel));
        if (refused is not null)
        {
            return (null, refused, found);
        }

        Remember(found, era, channel);
        return (channel, "", found);
    }

    private async Task<(LineChannel? Channel, string Why)> StartProcessAsync(CancellationToken cancel)
    {
        // Looked at again after each wait: another session's process may have failed in the meantime.
        while (_services.Time.GetElapsedTime(_services.Time.GetTimestamp(), Volatile.Read(ref _startNotBefore)) is { Ticks: > 0 } wait)
        {
            await Task.Delay(wait, _services.Time, cancel);
        }

        var start = ServerProcess.Start(Config, _services.Guard, _services.Time, _services.ProcessLogger);
        if (!start.Succeeded)
        {
            HoldStarts();
            return (null, start.Message);
        }

        var process = start.Process;
        lock (_backoff)
        {
            _backoff.Started();
        }

        var stopping = false;
        var watching = WatchAsync(process, () => stopping);
        LineChannel? channel = null;
        channel = new LineChannel(process.Output, process.Input, _services.Config.Current.Limits.BodySize, new(_services.Config.Current.Limits.JsonDepth),
            () => process.Exited.IsCompletedSuccessfully ? $"its process ended with {process.Exited.Result}" : "it closed its output",
            async () =>
            {
                // A server that ended by itself failed, also when we clean up behind it before the system tells its exit.
                stopping = channel is not { HasEnded: true };
                await process.StopAsync(StopPatience);
                // Whoever starts the next one right after this has to wait as long as after any that failed.
                await watching;
                await process.DisposeAsync();
            });
        return (channel, "");
    }

    private async Task<(Link? Link, string Why)> ShakeHandsAsync(LinkParameters parameters, ILinkOwner owner, IMessageChannel channel, CancellationToken cancel, bool mayDiscover = false)
    {
        var link = new ChannelLink(this, parameters, owner, channel, _services.Logger);
        string? why;
        try
        {
            link.Start();
            why = await link.OpenAsync(cancel);
            if (cancel.IsCancellationRequested)
            {
                why = "it did not answer initialize in time";
            }
            else if (why is not null && link is { WasRefused: true, IsUsable: true } && mayDiscover && await DiscoverAsync(link, owner, Era.Stateless, cancel, Task.FromResult<string?>(why)) is { Link: StatelessLink stateless })
            {
                return (stateless, "");
            }
        }
        catch
        {
            await link.DisposeAsync();
            throw;
        }

        if (why is null)
        {
            return (link, "");
        }

        await link.DisposeAsync();
        return (null, why.Length == 0 ? channel.EndReason : why);
    }
}
