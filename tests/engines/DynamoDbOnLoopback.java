import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBServerHandler;

/** AWS's DynamoDB Local in memory, a database per access key id, on a free port of 127.0.0.1 (its own main listens on all addresses). Prints the port. */
class DynamoDbOnLoopback {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("sqlite4java.library.path", arguments[0]);
        var requests = new LocalDynamoDBRequestHandler(0, true, null, false, false);
        var handler = new LocalDynamoDBServerHandler(requests, null);
        var server = new Server(new InetSocketAddress("127.0.0.1", 0));
        server.setHandler(new DynamoDBProxyServer(0, handler).setUpHandler(handler));
        server.start();
        System.out.println("port " + ((ServerConnector) server.getConnectors()[0]).getLocalPort());
        server.join();
    }
}
