using System.Net;
using System.Net.Sockets;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;

namespace Mooring.Stores.DynamoDb;

/// <summary>What a failure means: that there is too much, that the service is away, or that it refuses for good.</summary>
internal static class DynamoFailure
{
    /// <summary>Too much at once for the table or the account, or another write of the same item at this moment: goes through a little later.</summary>
    public static bool IsThrottling(Exception failure) => failure is AmazonServiceException told
        && (told.StatusCode == HttpStatusCode.TooManyRequests || told.ErrorCode is "ProvisionedThroughputExceededException" or "ThrottlingException" or "Throttling"
            or "RequestLimitExceeded" or "TransactionConflictException" or "LimitExceededException" or "RequestThrottled" or "SlowDown");

    /// <summary>No answer, or one that says that the service is ill: nobody knows what became of the request.</summary>
    public static bool IsAway(Exception failure) => failure switch
    {
        _ when IsThrottling(failure) => false,
        AmazonServiceException told => (int)told.StatusCode >= 500 || (told.InnerException is not null && told.StatusCode == default),
        AmazonClientException or HttpRequestException or IOException or SocketException or TimeoutException or OperationCanceledException => true,
        _ => false,
    };

    /// <summary>The service has answered, and does not let the gateway in or does not know the table: that is the same for every request.</summary>
    public static bool IsRefusal(Exception failure) => failure is ResourceNotFoundException
        or AmazonServiceException
    {
        ErrorCode: "AccessDeniedException" or "UnrecognizedClientException" or "InvalidSignatureException" or "ExpiredTokenException"
            or "MissingAuthenticationTokenException" or "IncompleteSignatureException"
    };

    public static bool IsOurs(Exception failure) => failure is AmazonDynamoDBException || IsThrottling(failure) || IsAway(failure) || IsRefusal(failure);

    /// <summary>In words, with what to do about it where that is known.</summary>
    public static string Describe(Exception failure) => failure switch
    {
        AmazonServiceException { ErrorCode: { Length: > 0 } code } told => $"{told.Message.TrimEnd('.')} ({code}).{AdviceOn(code, told.Message)}",
        OperationCanceledException or TimeoutException => "no answer in time.",
        AmazonClientException when failure.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase) =>
            failure.Message.TrimEnd('.') + ". Give the process a role, a profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        { InnerException: HttpRequestException or SocketException or IOException } => failure.InnerException.Message.TrimEnd('.') + ".",
        _ => failure.Message.TrimEnd('.') + ".",
    };

    private static string AdviceOn(string code, string message) => code switch
    {
        "AccessDeniedException" => " Give the gateway's role the actions that docs/dynamodb.md lists.",
        "UnrecognizedClientException" or "InvalidSignatureException" or "ExpiredTokenException" => " Check the credentials of the process, and its clock.",
        "ValidationException" when message.Contains("does not match the schema", StringComparison.Ordinal) =>
            " The table needs the partition key \"pk\" and the sort key \"sk\", both strings; one of an earlier deployment has others, so name a new table.",
        _ => "",
    };
}
