"""The operators' console and the taps' screens: pages for people, over the same use cases and views as the REST API.

Pages are rendered here; htmx swaps their parts. What runs in the browser beside it is one small module of our own
(`static/console.js`). It listens to one stream of events: values that move several times a second (ml, money, phase) it writes into
the page as the text that the stream brings, and for everything else it is told which parts have changed, and asks for those again.
Rendering each part for each viewer at each drop would cost more than it shows.
"""
