using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Text;

namespace Mooring.Benchmarks.Load;

/// <summary>One session, or one client without, on one connection on one thread, one call at a time. Used only by its thread until that has ended.</summary>
internal sealed class LoadWorker : IDisposable
{
    // Ids have a fixed number of digits, so that a request is the same bytes with two numbers put in.
    private const long FirstId = 1_000_000_000;

    private readonly RawConnection _connection;
    private readonly LoadOptions _options;
    private readonly byte[] _request;
    private readonly int _idAt;
    private readonly int _textAt;
    private readonly byte[] _expectedId;
    private readonly byte[] _expectedText;
    private readonly int _expectedTextNumberAt;
    private long _id = FirstId;

    public LoadWorker(LoadOptions options, int index)
    {
        _options = options;
        _connection = new RawConnection(new IPEndPoint(IPAddress.Parse(options.Url.Host), options.Url.Port));
        string? session = null;
        if (!options.Sessionless && !options.Stateless)
        {
            _connection.Exchange(Requests.Post(options.Url, null, Requests.Initialize("bench"), options.Token));
            session = _connection.Status == 200 && _connection.SessionId is { } id ? id
                : throw new InvalidDataException($"initialize: {_connection.Status} {Encoding.UTF8.GetString(_connection.Body)}");
            _connection.Exchange(Requests.Post(options.Url, session, Requests.Initialized, options.Token));
            if (_connection.Status != 202)
            {
                throw new InvalidDataException($"initialized: {_connection.Status}");
            }
        }

        // The text names the worker and the call: an answer that went to the wrong one is seen.
        var text = $"w{index:D4}-{FirstId}";
        var meta = options.Stateless ? "," + Requests.Meta : "";
        var body = $$$$"""{"jsonrpc":"2.0","id":{{{{FirstId}}}},"method":"tools/call","params":{"name":"{{{{options.Tool}}}}","arguments":{"text":"{{{{text}}}}","padding":"{{{{new string('p', 80)}}}}"}{{{{meta}}}}}}""";
        _request = options.Stateless ? Requests.Call(options.Url, options.Tool, body) : Requests.Post(options.Url, session, body, options.Token);
        _idAt = _request.AsSpan().IndexOf("\"id\":"u8) + 5;
        _textAt = _request.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)) + 6;
        _expectedId = Encoding.ASCII.GetBytes($"\"id\":{FirstId}");
        _expectedText = Encoding.ASCII.GetBytes($"\"text\":\"{text}\"");
        _expectedTextNumberAt = _expectedText.Length - 11;
        Session = session;
    }

    public string? Session { get; }

    public List<long> Latencies { get; } = new(1 << 18);

    public long EventStreams { get; private set; }

    public long Errors { get; private set; }

    public string? FirstError { get; private set; }

    /// <summary>Calls until told to stop; counts only what began and ended while measuring.</summary>
    public void Run(LoadClock clock)
    {
        try
        {
            while (!clock.Stopped)
            {
                var measured = clock.Measuring;
                var start = Stopwatch.GetTimestamp();
                Call();
                var taken = Stopwatch.GetTimestamp() - start;
                if (!IsRight())
                {
                    Fail($"{_connection.Status} {Encoding.UTF8.GetString(_connection.Body[..Math.Min(400, _connection.Body.Length)])}");
                    if (Errors > 100)
                    {
                        return;
                    }
                }
                else if (measured && clock.Measuring)
                {
                    Latencies.Add(taken);
                    EventStreams += _connection.IsEventStream ? 1 : 0;
                }
            }

            if (Session is not null)
            {
                _connection.Exchange(Requests.Delete(_options.Url, Session, _options.Token));
            }
        }
        catch (Exception error) when (error is InvalidDataException or System.Net.Sockets.SocketException)
        {
            Fail(error.Message);
        }
    }

    public void Dispose() => _connection.Dispose();

    private void Call()
    {
        _id++;
        Utf8Formatter.TryFormat(_id, _request.AsSpan(_idAt), out _);
        Utf8Formatter.TryFormat(_id, _request.AsSpan(_textAt), out _);
        _connection.Exchange(_request);
    }

    private bool IsRight()
    {
        Utf8Formatter.TryFormat(_id, _expectedId.AsSpan(5), out _);
        Utf8Formatter.TryFormat(_id, _expectedText.AsSpan(_expectedTextNumberAt), out _);
        return _connection.Status == 200 && _connection.Body.IndexOf(_expectedId) >= 0 && _connection.Body.IndexOf(_expectedText) >= 0;
    }

    private void Fail(string what)
    {
        Errors++;
        FirstError ??= what;
    }
}
