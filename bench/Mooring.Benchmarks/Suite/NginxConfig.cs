namespace Mooring.Benchmarks.Suite;

/// <summary>nginx as a careful operator would put it before an MCP server: one worker, connections kept on both sides, nothing buffered.</summary>
internal static class NginxConfig
{
    public static string Text(string folder, int port, Uri upstream) =>
        $$"""
        daemon off;
        worker_processes 1;
        error_log {{folder}}/error.log;
        pid {{folder}}/nginx.pid;
        events { worker_connections 20000; }
        http {
          access_log off;
          client_body_temp_path {{folder}}/body;
          proxy_temp_path {{folder}}/proxy;
          fastcgi_temp_path {{folder}}/fastcgi;
          uwsgi_temp_path {{folder}}/uwsgi;
          scgi_temp_path {{folder}}/scgi;
          keepalive_timeout 620s;
          keepalive_requests 1000000000;
          upstream bench {
            server {{upstream.Authority}};
            keepalive 64;
            keepalive_requests 1000000000;
          }
          server {
            listen 127.0.0.1:{{port}};
            location / {
              proxy_pass http://bench;
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_buffering off;
              proxy_read_timeout 3600s;
            }
          }
        }

        """;
}
