using System.Net.Security;
using Mooring.Configuration;

namespace Mooring.Host.Listening;

/// <summary>The certificate in force. Reads the files again when their content changes; connections that are open keep theirs.</summary>
internal sealed partial class TlsCertificates : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly TlsConfig _files;
    private readonly TimeProvider _time;
    private readonly ILogger<TlsCertificates> _logger;
    private readonly ContentWatch _watch;
    private volatile SslStreamCertificateContext _current;

    /// <exception cref="InvalidOperationException">The files are not usable; the loader has checked them a moment before.</exception>
    public TlsCertificates(TlsConfig files, TimeProvider time, ILogger<TlsCertificates> logger)
    {
        (_files, _time, _logger) = (files, time, logger);
        _watch = new ContentWatch([files.Cert, files.Key]);
        _current = TlsFiles.TryLoad(files, out var context, out var problem)
            ? context
            : throw new InvalidOperationException("tls " + problem);
    }

    public SslStreamCertificateContext Current => _current;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                Look();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    /// <summary>One look at the files; true when another certificate is in force.</summary>
    public bool Look()
    {
        if (!_watch.HasChanged())
        {
            return false;
        }

        if (!TlsFiles.TryLoad(_files, out var next, out var problem))
        {
            Log.Kept(_logger, problem);
            return false;
        }

        if (next.TargetCertificate.Equals(_current.TargetCertificate))
        {
            return false;
        }

        _current = next;
        Log.Changed(_logger, next.TargetCertificate.Subject, next.TargetCertificate.NotAfter);
        return true;
    }
}
