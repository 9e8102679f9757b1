namespace Mooring.Host.Listening;

internal sealed partial class TlsCertificates
{
    private static partial class Log
    {
        [LoggerMessage(1141, LogLevel.Information, "TLS certificate replaced: {Subject}, valid until {NotAfter:u}.", EventName = "CertificateChanged")]
        public static partial void Changed(ILogger logger, string subject, DateTime notAfter);

        [LoggerMessage(1142, LogLevel.Error, "The changed TLS files are not taken; the certificate in force stays. They {Problem}", EventName = "CertificateKept")]
        public static partial void Kept(ILogger logger, string problem);
    }
}
