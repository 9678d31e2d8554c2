"""The operators' console and the taps' screens: pages for people, over the same use cases and views as the REST API.

Pages are rendered on the server; htmx swaps their parts. Besides it, one small module of our own runs in the browser
(`static/console.js`) and reads one stream of events. Values that change several times a second (ml, money, phase) come as texts and
are written into the page. For everything else the stream names the parts that have changed, and the page requests those again:
rendering each part for each viewer at each drop would cost too much.
"""
