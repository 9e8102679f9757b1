using Mooring.Protocol;

namespace Mooring.Upstreams.Http;

/// <content>What an answer means that is none, or one with an error status.</content>
internal sealed partial class HttpLink
{
    private static Attempt Check(Frame frame, PendingRequest pending)
    {
        if (frame.Kind is not (FrameKind.Result or FrameKind.Error))
        {
            frame.Dispose();
            return Attempt.Unknown("it answered with a request or notification instead of a response");
        }

        // An error without an id is the server's word that it could not read the request.
        if ((frame.Kind == FrameKind.Error && frame.Id.IsEmpty) || (JsonRpc.TryReadId(frame.Id, out var id) && id == pending.Id))
        {
            return Attempt.Answered(frame);
        }

        frame.Dispose();
        return Attempt.Unknown("it answered with the id of another request");
    }

    /// <summary>A body that is the answer, or has it among others.</summary>
    private Attempt Take(PendingRequest pending, ChannelRead read)
    {
        if (read.Frame is { } only)
        {
            return Check(only, pending);
        }

        Attempt? answer = null;
        foreach (var (frame, fault, _) in read.In(Version, Upstream.Limits))
        {
            if (frame is { Kind: FrameKind.Request or FrameKind.Notification })
            {
                pending.OnRelated(this, frame, origin: null);
            }
            else if (answer is not { Kind: AttemptKind.Answered })
            {
                answer = frame is null ? Attempt.Unknown($"it answered with something that is not a message: {fault}") : Check(frame, pending);
            }
        }

        return answer ?? Attempt.Unknown("it answered with a batch without a response");
    }

    private async ValueTask<Attempt> RefusedAsync(PendingRequest pending, HttpResponseMessage response, string? session, CancellationToken cancel)
    {
        var status = (int)response.StatusCode;
        var detail = $"it answered HTTP {status}";
        if (pending is OwnRequest && session is null)
        {
            InitializeStatus = response.StatusCode;
        }

        if (LinkAuthorizer.NeededFor(response) is { } needed)
        {
            return needed.ToAttempt();
        }

        if (status == 404 && session is not null)
        {
            return Attempt.SessionLost(detail, session!);
        }

        if (status is >= 300 and < 400)
        {
            return Attempt.Refused($"{detail}, a redirect{Target(response)}, which is not followed: set that address as its url if it is the same server");
        }

        // Error statuses may carry a JSON-RPC error of the server's own.
        if (HttpExchange.MediaType(response) == "application/json")
        {
            var (frame, _, _) = await _http.ReadFrameAsync(response.Content, cancel);
            if (frame is { Kind: FrameKind.Error } && Check(frame, pending) is { Kind: AttemptKind.Answered } answered)
            {
                // Servers built on the official examples answer 400 and -32000 to a session they do not know; those that have none any more
                // (2026-07-28), that they miss its headers or do not speak the version.
                var code = frame.Span(JsonFields.Find(frame.Span(frame.Envelope.Error), "code"u8).Offset(frame.Envelope.Error.Start));
                return status == 400 && session is not null && (code.SequenceEqual("-32000"u8) || code.SequenceEqual("-32020"u8) || code.SequenceEqual("-32022"u8))
                    ? Attempt.SessionLost(detail, session!)
                    : answered;
            }
        }

        return status switch
        {
            202 => Attempt.Unknown("it answered 202 to a request, as if it were a notification"),
            < 300 => Attempt.Unknown($"{detail}, a success without an answer"),
            503 when Upstream.Config.RetryOn503 => Attempt.NotExecuted(detail),
            502 => Attempt.Cut($"{detail}: something between the gateway and the server got no answer from it"),
            504 => Attempt.Unknown($"{detail}: something between the gateway and the server gave up waiting"),
            >= 500 => Attempt.Unknown(detail),
            _ => Attempt.Refused(detail),
        };
    }

    /// <summary>Where a redirect leads, without its query: that may hold what logs somebody in.</summary>
    private string Target(HttpResponseMessage response) =>
        response.Headers.Location is { } location && Uri.TryCreate(_http.Endpoint, location, out var target)
            ? " to " + target.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped)
            : "";
}
