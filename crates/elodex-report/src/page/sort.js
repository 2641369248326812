for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const numeric = headers[column].dataset.kind === "number";
      const rows = [...body.rows].map((row) => [numeric ? parseFloat(key(row)) : key(row), row]);
      rows.sort(([one], [other]) => {
        if (!numeric) return sign * one.localeCompare(other, undefined, { numeric: true });
        if (isNaN(one) || isNaN(other)) return isNaN(one) - isNaN(other);
        return sign * (one - other);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
